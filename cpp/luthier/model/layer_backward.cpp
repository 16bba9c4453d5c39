#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include "luthier/model/layer_step.h"
#include "luthier/ops/attention.h"
#include "luthier/ops/gated.h"
#include "luthier/ops/rms_norm.h"
#include "luthier/ops/rope.h"

namespace luthier {
namespace {

// The gradient of the stream beside room for the update of the layer that wrote to it.
LinearBackward stream_backward(LinearLayer& layer, const Gradients& gradients, int64_t rows) {
  return whole_backward(layer, gradients.joined_stream.narrow(0, 0, rows).narrow(1, 0, layer.out + layer.spare));
}

// The input of a block's first layer was not kept: its norm is computed again, beside the update's columns, which were.
void normed_again(const LayerStep& step, const at::Tensor& x, const Weight& norm, at::Tensor rstd,
                  const at::Tensor& tail, const at::Tensor& out) {
  const int64_t columns = step.config.hidden_size;
  at::Tensor normed = out.narrow(1, 0, columns);
  rms_norm_forward(x, norm.value, step.config.norm_epsilon, normed, rstd);
  out.narrow(1, columns, tail.size(1)).copy_(tail);
}

void feed_forward_backward(LayerStep& step, Gradients& gradients) {
  const DecoderConfig& c = step.config;
  DecoderLayer& w = step.weights;
  const int64_t rows = step.saved.middle.size(0);
  at::Tensor stream = gradients.stream(rows);
  at::Tensor d_gated = gradients.gated.narrow(0, 0, rows);
  at::Tensor normed = gradients.normed.narrow(0, 0, rows);

  LinearBackward down = stream_backward(w.down, gradients, rows);
  linear_layer_backward_input(down, d_gated, false);
  // The gated product was not kept: it is computed again on the way, beside the update's columns, which were.
  step.gated.narrow(1, c.intermediate_size, w.down.spare).copy_(step.saved.down_tail);
  at::Tensor& d_gate_up = step.saved.gate_up;
  gated_backward(step.saved.gate_up, d_gated, c.activation, d_gate_up, step.gated.narrow(1, 0, c.intermediate_size));
  linear_layer_backward_weight(down, step.gated);

  LinearBackward gate_up = whole_backward(w.gate_up, step.joined_gate_up);
  linear_layer_backward_input(gate_up, normed, false);
  if (w.gate_up.trained()) {
    normed_again(step, step.saved.middle, w.feed_forward_norm, step.saved.feed_forward_rstd,
                 step.saved.feed_forward_tail, step.feed_forward_in);
    linear_layer_backward_weight(gate_up, step.feed_forward_in);
  }
  rms_norm_backward(normed, step.saved.middle, w.feed_forward_norm.value, step.saved.feed_forward_rstd, stream,
                    w.feed_forward_norm.gradient);
}

// The gradient of the queries, keys and values, in gradients.query_key_value. Those of a layer that selects: the
// queries' in the first M rows.
void attention_block_backward(LayerStep& step, Gradients& gradients) {
  const LayerActivations& saved = step.saved;
  const int64_t asked = saved.middle.size(0), all = saved.input.size(0);
  at::Tensor d_attention = gradients.attention_out.narrow(0, 0, asked);
  LinearBackward output = stream_backward(step.weights.output, gradients, asked);
  linear_layer_backward_input(output, d_attention, false);
  linear_layer_backward_weight(output, saved.attention_out);

  at::Tensor d_buffer = gradients.query_key_value.narrow(0, 0, all);
  at::Tensor d_q = step.queries(d_buffer).narrow(0, 0, asked);
  at::Tensor d_k = step.keys(d_buffer), d_v = step.values(d_buffer);
  const at::Tensor q = step.queries(saved.query_key_value).narrow(0, 0, asked);
  attention_backward(step.select ? step.input.selected_plan : step.input.plan, q, step.keys(saved.query_key_value),
                     step.values(saved.query_key_value), step.queries(saved.attention_out), saved.log_sum_exp,
                     step.queries(d_attention), d_q, d_k, d_v);
  const at::Tensor& positions = step.input.positions;
  rope_backward(d_q, step.select ? positions.index_select(0, step.input.selected) : positions, step.rope.cos,
                step.rope.sin);
  rope_backward(d_k, positions, step.rope.cos, step.rope.sin);
}

// The gradient of the projections' input, [T, hidden], in gradients.normed.
void projection_backward(LayerStep& step, Gradients& gradients, bool need_input) {
  LinearLayer& layer = step.weights.query_key_value;
  const int64_t all = step.saved.input.size(0);
  at::Tensor d_buffer = gradients.query_key_value.narrow(0, 0, all);
  at::Tensor normed = need_input ? gradients.normed.narrow(0, 0, all) : at::Tensor();
  if (layer.trained()) {
    normed_again(step, step.saved.input, step.weights.attention_norm, step.saved.attention_rstd,
                 step.saved.attention_tail, step.attention_in);
  }
  if (!step.select) {
    LinearBackward whole = whole_backward(layer, d_buffer.narrow(1, 0, layer.out + layer.spare));
    linear_layer_backward_input(whole, normed, false);
    linear_layer_backward_weight(whole, step.attention_in);
    return;
  }
  const int64_t columns = step.config.query_columns();
  const at::Tensor& selected = step.input.selected;
  const int64_t asked = selected.size(0);
  LinearBackward key_value{layer,
                           1,
                           layer.parts.size(),
                           d_buffer.narrow(1, columns, layer.out - columns),
                           gradients.update.narrow(0, 0, all),
                           {}};
  linear_layer_backward_input(key_value, normed, false);
  linear_layer_backward_weight(key_value, step.attention_in);
  LinearBackward query{
      layer, 0, 1, d_buffer.narrow(0, 0, asked).narrow(1, 0, columns), gradients.update.narrow(0, 0, asked), {}};
  at::Tensor d_selected = need_input ? at::empty({asked, layer.in}, d_buffer.options()) : at::Tensor();
  linear_layer_backward_input(query, d_selected, false);
  linear_layer_backward_weight(query, step.attention_in.index_select(0, selected));
  if (need_input) normed.index_add_(0, selected, d_selected);
}

}  // namespace

void layer_backward(LayerStep& step, Gradients& gradients, const BackwardReach& reach) {
  feed_forward_backward(step, gradients);
  if (!reach.attention) return;
  attention_block_backward(step, gradients);
  projection_backward(step, gradients, reach.input);
  if (!reach.input) return;
  const int64_t all = step.saved.input.size(0);
  at::Tensor stream = gradients.stream(all);
  if (step.select) {
    // From here on every row has a gradient; behind this layer only the selected ones had.
    const at::Tensor selected_stream = stream.narrow(0, 0, step.input.selected.size(0)).clone();
    stream.zero_();
    stream.index_copy_(0, step.input.selected, selected_stream);
  }
  const at::Tensor normed = gradients.normed.narrow(0, 0, all);
  rms_norm_backward(normed, step.saved.input, step.weights.attention_norm.value, step.saved.attention_rstd, stream,
                    step.weights.attention_norm.gradient);
}

}  // namespace luthier
