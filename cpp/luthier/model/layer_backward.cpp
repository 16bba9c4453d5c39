#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include "luthier/model/layer_step.h"
#include "luthier/ops/attention.h"
#include "luthier/ops/gated.h"
#include "luthier/ops/rms_norm.h"
#include "luthier/ops/rope.h"

namespace luthier {
namespace {

// The gradient of a block's output, beside room for the update of the layer that made it. That of the residual stream,
// where the output joins it as it is; else it goes back through the scale and the norm that stand between.
LinearBackward leave_backward(const LayerStep& step, LinearLayer& layer, const Gradients& gradients, Weight& norm,
                              const at::Tensor& delta, const at::Tensor& rstd, int64_t rows) {
  const DecoderConfig& c = step.config;
  const auto cut = [&](const at::Tensor& joined) {
    return joined.narrow(0, 0, rows).narrow(1, 0, layer.out + layer.spare);
  };
  if (!gradients.joined_block.defined()) return whole_backward(layer, cut(gradients.joined_stream));
  const at::Tensor joined = cut(gradients.joined_block);
  at::Tensor d_block = joined.narrow(1, 0, layer.out);
  const at::Tensor stream = gradients.stream(rows);
  const at::Tensor d_out = c.residual_scale == 1 ? stream : stream.mul(c.residual_scale);
  if (norm.value.defined()) {
    d_block.zero_();
    rms_norm_backward(d_out, delta, norm.value, rstd, d_block, norm.gradient, c.norm_offset);
  } else {
    d_block.copy_(d_out);
  }
  return whole_backward(layer, joined);
}

// Adds the gradient of a block's input to that of the residual stream x.
void enter_backward(const DecoderConfig& c, const at::Tensor& d_in, const at::Tensor& x, const Weight& norm,
                    const at::Tensor& rstd, at::Tensor& stream) {
  if (norm.value.defined()) {
    rms_norm_backward(d_in, x, norm.value, rstd, stream, norm.gradient, c.norm_offset);
  } else {
    stream.add_(d_in);
  }
}

// The input of a block's first layer was not kept: its norm is computed again, beside the update's columns, which were.
void entered_again(const LayerStep& step, at::Tensor x, const Weight& norm, at::Tensor rstd, const at::Tensor& tail,
                   const at::Tensor& out) {
  const int64_t columns = step.config.hidden_size;
  enter_block(step.config, x, {}, norm, out.narrow(1, 0, columns), rstd);
  out.narrow(1, columns, tail.size(1)).copy_(tail);
}

// Turns the gradient of normed heads, [rows, heads, head_size], into that of the heads before their norm.
void norm_heads_backward(const DecoderConfig& c, at::Tensor d_x, const at::Tensor& kept, const Weight& norm,
                         const at::Tensor& rstd) {
  const at::Tensor d_out = d_x.clone(at::MemoryFormat::Contiguous);
  d_x.zero_();
  if (c.query_key_norm == QueryKeyNorm::whole) {
    at::Tensor flat = d_x.flatten(1);
    rms_norm_backward(d_out.flatten(1), kept, norm.value, rstd, flat, norm.gradient, c.norm_offset);
  } else {
    rms_norm_backward(d_out, kept.unflatten(1, d_x.sizes().slice(1)), norm.value, rstd, d_x, norm.gradient,
                      c.norm_offset);
  }
}

void feed_forward_backward(LayerStep& step, Gradients& gradients) {
  const DecoderConfig& c = step.config;
  DecoderLayer& w = step.weights;
  const int64_t rows = step.saved.middle.size(0);
  at::Tensor stream = gradients.stream(rows);
  at::Tensor d_gated = gradients.gated.narrow(0, 0, rows);
  at::Tensor normed = gradients.normed.narrow(0, 0, rows);

  LinearBackward down = leave_backward(step, w.down, gradients, w.feed_forward_after_norm,
                                       step.saved.feed_forward_delta, step.saved.feed_forward_after_rstd, rows);
  linear_layer_backward_input(down, d_gated, false);
  // The gated product was not kept: it is computed again on the way, beside the update's columns, which were.
  step.gated.narrow(1, c.intermediate_size, w.down.spare).copy_(step.saved.down_tail);
  at::Tensor& d_gate_up = step.saved.gate_up;
  gated_backward(step.saved.gate_up, d_gated, c.activation, d_gate_up, step.gated.narrow(1, 0, c.intermediate_size));
  linear_layer_backward_weight(down, step.gated);

  LinearBackward gate_up = whole_backward(w.gate_up, step.joined_gate_up);
  linear_layer_backward_input(gate_up, normed, false);
  if (w.gate_up.trained()) {
    entered_again(step, step.saved.middle, w.feed_forward_norm, step.saved.feed_forward_rstd,
                  step.saved.feed_forward_tail, step.feed_forward_in);
    linear_layer_backward_weight(gate_up, step.feed_forward_in);
  }
  enter_backward(c, normed, step.saved.middle, w.feed_forward_norm, step.saved.feed_forward_rstd, stream);
}

// The gradient of the queries, keys and values, in gradients.query_key_value. Those of a layer that selects: the
// queries' in the first M rows.
void attention_block_backward(LayerStep& step, Gradients& gradients) {
  const DecoderConfig& c = step.config;
  const LayerActivations& saved = step.saved;
  const int64_t asked = saved.middle.size(0), all = saved.input.size(0);
  at::Tensor d_attention = gradients.attention_out.narrow(0, 0, asked);
  LinearBackward output = leave_backward(step, step.weights.output, gradients, step.weights.attention_after_norm,
                                         saved.attention_delta, saved.attention_after_rstd, asked);
  linear_layer_backward_input(output, d_attention, false);
  linear_layer_backward_weight(output, saved.attention_out);

  at::Tensor d_buffer = gradients.query_key_value.narrow(0, 0, all);
  at::Tensor d_q = step.queries(d_buffer).narrow(0, 0, asked);
  at::Tensor d_k = step.keys(d_buffer), d_v = step.values(d_buffer);
  const at::Tensor q = step.queries(saved.query_key_value).narrow(0, 0, asked);
  attention_backward(step.plan(), q, step.keys(saved.query_key_value), step.values(saved.query_key_value),
                     step.queries(saved.attention_out), saved.log_sum_exp, step.queries(d_attention), d_q, d_k, d_v);
  if (step.rope != nullptr) {
    const at::Tensor& positions = step.input.positions;
    rope_backward(d_q, step.select ? positions.index_select(0, step.input.selected) : positions, step.rope->cos,
                  step.rope->sin);
    rope_backward(d_k, positions, step.rope->cos, step.rope->sin);
  }
  if (c.query_key_norm != QueryKeyNorm::none) {
    norm_heads_backward(c, d_q, saved.query_key.narrow(0, 0, asked).narrow(1, 0, c.query_columns()),
                        step.weights.query_norm, saved.query_rstd);
    norm_heads_backward(c, d_k, saved.query_key.narrow(1, c.query_columns(), c.key_columns()), step.weights.key_norm,
                        saved.key_rstd);
  }
}

// A projection that is one part of a file cannot be taken apart into queries and the rest: the gradient of the queries
// goes from the first M rows to those that were selected, and is zero elsewhere.
void spread_queries(const LayerStep& step, at::Tensor d_queries) {
  const at::Tensor selected_rows = d_queries.narrow(0, 0, step.input.selected.size(0)).clone();
  d_queries.zero_();
  d_queries.index_copy_(0, step.input.selected, selected_rows);
}

// The gradient of the projections' input, [T, hidden], in gradients.normed.
void projection_backward(LayerStep& step, Gradients& gradients, bool need_input) {
  LinearLayer& layer = step.weights.query_key_value;
  const int64_t all = step.saved.input.size(0);
  at::Tensor d_buffer = gradients.query_key_value.narrow(0, 0, all);
  at::Tensor normed = need_input ? gradients.normed.narrow(0, 0, all) : at::Tensor();
  if (layer.trained()) {
    entered_again(step, step.saved.input, step.weights.attention_norm, step.saved.attention_rstd,
                  step.saved.attention_tail, step.attention_in);
  }
  const bool fused = layer.parts.size() == 1;
  if (step.select && fused) spread_queries(step, d_buffer.narrow(1, 0, step.config.query_columns()));
  if (!step.select || fused) {
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
  enter_backward(step.config, gradients.normed.narrow(0, 0, all), step.saved.input, step.weights.attention_norm,
                 step.saved.attention_rstd, stream);
}

}  // namespace luthier
