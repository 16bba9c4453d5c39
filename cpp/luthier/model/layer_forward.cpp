#include <ATen/ops/index_select.h>

#include "luthier/model/layer_step.h"
#include "luthier/ops/attention.h"
#include "luthier/ops/gated.h"
#include "luthier/ops/rms_norm.h"
#include "luthier/ops/rope.h"

namespace luthier {
namespace {

// Norms x, [rows, heads, head_size], in place; `kept` [rows, columns] gets what it was.
void norm_heads(const DecoderConfig& c, at::Tensor x, const Weight& norm, at::Tensor kept, at::Tensor& rstd) {
  at::Tensor flat = x.flatten(1);
  kept.copy_(flat);
  if (c.query_key_norm == QueryKeyNorm::whole) {
    rms_norm_forward(kept, norm.value, c.norm_epsilon, flat, rstd, c.norm_offset);
  } else {
    rms_norm_forward(kept.unflatten(1, x.sizes().slice(1)), norm.value, c.norm_epsilon, x, rstd, c.norm_offset);
  }
}

// The norms of queries and keys, and their rotation.
void norm_and_rotate(LayerStep& step, at::Tensor q, at::Tensor k) {
  const DecoderConfig& c = step.config;
  LayerActivations& saved = step.saved;
  if (c.query_key_norm != QueryKeyNorm::none) {
    norm_heads(c, q, step.weights.query_norm, saved.query_key.narrow(0, 0, q.size(0)).narrow(1, 0, c.query_columns()),
               saved.query_rstd);
    norm_heads(c, k, step.weights.key_norm, saved.query_key.narrow(1, c.query_columns(), c.key_columns()),
               saved.key_rstd);
  }
  if (step.rope == nullptr) return;
  const at::Tensor& positions = step.input.positions;
  rope_forward(q, step.select ? positions.index_select(0, step.input.selected) : positions, step.rope->cos,
               step.rope->sin);
  rope_forward(k, positions, step.rope->cos, step.rope->sin);
}

// Queries, keys and values, rotated. A layer that selects computes queries for the selected rows only; they take the
// first M rows of the buffer's query columns.
void project(LayerStep& step) {
  const LinearLayer& layer = step.weights.query_key_value;
  at::Tensor& buffer = step.saved.query_key_value;
  linear_layer_tail(layer, step.attention_in);
  step.saved.attention_tail.copy_(step.attention_in.narrow(1, layer.in, layer.spare));
  at::Tensor q = step.queries(buffer);
  if (step.select) {
    const int64_t columns = step.config.query_columns();
    const at::Tensor& selected = step.input.selected;
    at::Tensor key_value = buffer.narrow(1, columns, layer.out - columns);
    linear_layer_product(layer, step.attention_in, columns, layer.out, key_value);
    at::Tensor query = buffer.narrow(0, 0, selected.size(0)).narrow(1, 0, columns);
    linear_layer_product(layer, step.attention_in.index_select(0, selected), 0, columns, query);
    q = q.narrow(0, 0, selected.size(0));
  } else {
    linear_layer_product(layer, step.attention_in, 0, layer.out, buffer);
  }
  norm_and_rotate(step, q, step.keys(buffer));
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
  attention_forward(step.plan(), q, k, v, out, step.saved.log_sum_exp);
}

// The last product of a block, and what stands between it and the residual stream. `delta` keeps the product where a
// norm follows.
void leave_block(const DecoderConfig& c, const LinearLayer& layer, const at::Tensor& x, const Weight& norm,
                 at::Tensor& delta, at::Tensor& rstd, at::Tensor& out) {
  if (norm.value.defined()) {
    linear_layer_product(layer, x, 0, layer.out, delta);
    rms_norm_forward(delta, norm.value, c.norm_epsilon, out, rstd, c.norm_offset);
  } else {
    linear_layer_product(layer, x, 0, layer.out, out);
  }
  if (c.residual_scale != 1) out.mul_(c.residual_scale);
}

// From saved.input, whose norm stands in attention_in, to the gated product: everything but the last product.
void layer_states(LayerStep& step, KeyValueCache* cache, size_t index, const at::Tensor& cache_rows) {
  const DecoderConfig& c = step.config;
  DecoderLayer& w = step.weights;
  LayerActivations& saved = step.saved;
  project(step);
  attend(step, cache, index, cache_rows);
  linear_layer_tail(w.output, saved.attention_out);
  leave_block(c, w.output, saved.attention_out, w.attention_after_norm, saved.attention_delta,
              saved.attention_after_rstd, saved.middle);

  // middle = input + attention's output, and its norm.
  const at::Tensor stream = step.select ? saved.input.index_select(0, step.input.selected) : saved.input;
  enter_block(c, saved.middle, stream, w.feed_forward_norm, step.feed_forward_in.narrow(1, 0, c.hidden_size),
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

void enter_block(const DecoderConfig& c, at::Tensor& stream, const at::Tensor& delta, const Weight& norm, at::Tensor in,
                 at::Tensor& rstd) {
  if (!norm.value.defined()) {
    if (delta.defined()) stream.add_(delta);
    in.copy_(stream);
  } else if (delta.defined()) {
    add_rms_norm_forward(stream, delta, norm.value, c.norm_epsilon, in, rstd, c.norm_offset);
  } else {
    rms_norm_forward(stream, norm.value, c.norm_epsilon, in, rstd, c.norm_offset);
  }
}

void layer_forward(LayerStep& step, at::Tensor& out, KeyValueCache* cache, size_t index, const at::Tensor& cache_rows) {
  layer_states(step, cache, index, cache_rows);
  leave_block(step.config, step.weights.down, step.gated, step.weights.feed_forward_after_norm,
              step.saved.feed_forward_delta, step.saved.feed_forward_after_rstd, out);
}

void layer_states_again(LayerStep& step) {
  at::Tensor normed = step.attention_in.narrow(1, 0, step.config.hidden_size);
  enter_block(step.config, step.saved.input, {}, step.weights.attention_norm, normed, step.saved.attention_rstd);
  layer_states(step, nullptr, 0, {});
  const Weight& norm = step.weights.feed_forward_after_norm;
  if (!norm.value.defined()) return;
  at::Tensor unused = step.feed_forward_in.narrow(1, 0, step.config.hidden_size);
  leave_block(step.config, step.weights.down, step.gated, norm, step.saved.feed_forward_delta,
              step.saved.feed_forward_after_rstd, unused);
}

}  // namespace luthier
