#include "luthier/model/layer_step.h"

namespace luthier {

at::Tensor LayerStep::queries(const at::Tensor& buffer) const {
  return buffer.narrow(1, 0, config.query_columns()).unflatten(1, {config.heads, config.head_size});
}

at::Tensor LayerStep::keys(const at::Tensor& buffer) const {
  return buffer.narrow(1, config.query_columns(), config.key_columns())
      .unflatten(1, {config.key_heads, config.head_size});
}

at::Tensor LayerStep::values(const at::Tensor& buffer) const {
  return buffer.narrow(1, config.query_columns() + config.key_columns(), config.key_columns())
      .unflatten(1, {config.key_heads, config.head_size});
}

const AttentionPlan& LayerStep::plan() const { return plan_of(select ? input.selected_plans : input.plans, window); }

LayerStep make_layer_step(Decoder& decoder, Activations& activations, const ForestInput& input, size_t index) {
  const DecoderConfig& c = decoder.config;
  DecoderLayer& weights = decoder.layers[index];
  const LayerActivations whole = activations.layer(index);
  const bool select = input.selected.defined() && index + 1 == decoder.layers.size();
  const int64_t all = input.tokens.size(0);
  const int64_t asked = select ? input.selected.size(0) : all;
  const auto cut = [](const at::Tensor& buffer, int64_t rows, int64_t columns) {
    return buffer.narrow(0, 0, rows).narrow(1, 0, columns);
  };
  LayerActivations saved;
  saved.input = whole.input.narrow(0, 0, all);
  saved.attention_rstd = whole.attention_rstd.narrow(0, 0, all);
  saved.attention_tail = cut(whole.attention_tail, all, weights.query_key_value.spare);
  saved.query_key_value = whole.query_key_value.narrow(0, 0, all);
  saved.attention_out = cut(whole.attention_out, asked, c.query_columns() + weights.output.spare);
  saved.log_sum_exp = whole.log_sum_exp.narrow(0, 0, asked);
  saved.middle = whole.middle.narrow(0, 0, asked);
  saved.feed_forward_rstd = whole.feed_forward_rstd.narrow(0, 0, asked);
  saved.feed_forward_tail = cut(whole.feed_forward_tail, asked, weights.gate_up.spare);
  saved.gate_up = cut(whole.gate_up, asked, 2 * c.intermediate_size);
  saved.down_tail = cut(whole.down_tail, asked, weights.down.spare);
  const auto cut_rows = [](const at::Tensor& buffer, int64_t rows) {
    return buffer.defined() ? buffer.narrow(0, 0, rows) : at::Tensor();
  };
  saved.query_key = cut_rows(whole.query_key, all);
  saved.query_rstd = cut_rows(whole.query_rstd, asked);
  saved.key_rstd = cut_rows(whole.key_rstd, all);
  saved.attention_delta = cut_rows(whole.attention_delta, asked);
  saved.attention_after_rstd = cut_rows(whole.attention_after_rstd, asked);
  saved.feed_forward_delta = cut_rows(whole.feed_forward_delta, asked);
  saved.feed_forward_after_rstd = cut_rows(whole.feed_forward_after_rstd, asked);
  const LayerSettings settings = c.layer(static_cast<int64_t>(index));
  return {c,
          settings.rope >= 0 ? &decoder.ropes[static_cast<size_t>(settings.rope)] : nullptr,
          settings.window,
          weights,
          saved,
          input,
          select,
          cut(activations.normed, all, c.hidden_size + weights.query_key_value.spare),
          cut(activations.normed, asked, c.hidden_size + weights.gate_up.spare),
          cut(activations.gated, asked, c.intermediate_size + weights.down.spare),
          cut(whole.gate_up, asked, 2 * c.intermediate_size + weights.gate_up.spare)};
}

}  // namespace luthier
