#include <ATen/ops/index_select.h>

#include "luthier/model/layer_step.h"
#include "luthier/ops/attention.h"
#include "luthier/ops/gated.h"
#include "luthier/ops/rms_norm.h"
#include "luthier/ops/rope.h"

namespace luthier {
namespace {

// Queries, keys and values, rotated. A layer that selects computes queries for the selected rows only; they take the
// first M rows of the buffer's query columns.
void project(LayerStep& step) {
  const LinearLayer& layer = step.weights.query_key_value;
  at::Tensor& buffer = step.saved.query_key_value;
  const at::Tensor& positions = step.input.positions;
  linear_layer_tail(layer, step.attention_in);
  step.saved.attention_tail.copy_(step.attention_in.narrow(1, layer.in, layer.spare));
  at::Tensor q, k = step.keys(buffer);
  if (step.select) {
    const int64_t columns = step.config.query_columns();
    const at::Tensor& selected = step.input.selected;
    at::Tensor key_value = buffer.narrow(1, columns, layer.out - columns);
    linear_layer_product(layer, step.attention_in, columns, layer.out, key_value);
    at::Tensor query = buffer.narrow(0, 0, selected.size(0)).narrow(1, 0, columns);
    linear_layer_product(layer, step.attention_in.index_select(0, selected), 0, columns, query);
    q = step.queries(buffer).narrow(0, 0, selected.size(0));
    rope_forward(q, positions.index_select(0, selected), step.rope.cos, step.rope.sin);
  } else {
    linear_layer_product(layer, step.attention_in, 0, layer.out, buffer);
    q = step.queries(buffer);
    rope_forward(q, positions, step.rope.cos, step.rope.sin);
  }
  rope_forward(k, positions, step.rope.cos, step.rope.sin);
}

void attend(LayerStep& step, KeyValueCache* cache, size_t index, const at::Tensor& cache_rows) {
  const at::Tensor& buffer = step.saved.query_key_value;
  at::Tensor out = step.queries(step.saved.attention_out);
  const at::Tensor q = step.queries(buffer).narrow(0, 0, out.size(0));
  at::Tensor k = step.keys(buffer), v = step.values(buffer);
  if (cache != nullptr) {
    k = cache->k[index].index_copy_(0, cache_rows, k);
    v = cache->v[index].index_copy_(0, cache_rows, v);
  }
  const AttentionPlan& plan = step.select ? step.input.selected_plan : step.input.plan;
  attention_forward(plan, q, k, v, out, step.saved.log_sum_exp);
}

// From saved.input, whose norm stands in attention_in, to the gated product: everything but the last product.
void layer_states(LayerStep& step, KeyValueCache* cache, size_t index, const at::Tensor& cache_rows) {
  const DecoderConfig& c = step.config;
  DecoderLayer& w = step.weights;
  LayerActivations& saved = step.saved;
  project(step);
  attend(step, cache, index, cache_rows);
  linear_layer_tail(w.output, saved.attention_out);
  linear_layer_product(w.output, saved.attention_out, 0, w.output.out, saved.middle);

  // middle = input + attention's output, and its norm.
  const at::Tensor stream = step.select ? saved.input.index_select(0, step.input.selected) : saved.input;
  at::Tensor normed = step.feed_forward_in.narrow(1, 0, c.hidden_size);
  add_rms_norm_forward(saved.middle, stream, w.feed_forward_norm.value, c.norm_epsilon, normed,
                       saved.feed_forward_rstd);

  linear_layer_tail(w.gate_up, step.feed_forward_in);
  saved.feed_forward_tail.copy_(step.feed_forward_in.narrow(1, c.hidden_size, w.gate_up.spare));
  linear_layer_product(w.gate_up, step.feed_forward_in, 0, w.gate_up.out, saved.gate_up);
  at::Tensor gated = step.gated.narrow(1, 0, c.intermediate_size);
  gated_forward(saved.gate_up, c.activation, gated);
  linear_layer_tail(w.down, step.gated);
  saved.down_tail.copy_(step.gated.narrow(1, c.intermediate_size, w.down.spare));
}

}  // namespace

void layer_forward(LayerStep& step, at::Tensor& out, KeyValueCache* cache, size_t index, const at::Tensor& cache_rows) {
  layer_states(step, cache, index, cache_rows);
  linear_layer_product(step.weights.down, step.gated, 0, step.weights.down.out, out);
}

void layer_states_again(LayerStep& step) {
  at::Tensor normed = step.attention_in.narrow(1, 0, step.config.hidden_size);
  rms_norm_forward(step.saved.input, step.weights.attention_norm.value, step.config.norm_epsilon, normed,
                   step.saved.attention_rstd);
  layer_states(step, nullptr, 0, {});
}

}  // namespace luthier
