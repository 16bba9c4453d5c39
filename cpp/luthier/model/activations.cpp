#include "luthier/model/activations.h"

#include <algorithm>

#include "luthier/model/buffers.h"

namespace luthier {
namespace {

LayerActivations take(const DecoderConfig& c, const DecoderLayer& layer, int64_t rows, at::ScalarType type,
                      Buffers& buffers) {
  const auto matrix = [&](int64_t columns) { return buffers.empty({rows, columns}, type); };
  LayerActivations a;
  a.input = matrix(c.hidden_size);
  a.attention_rstd = buffers.empty({rows}, at::kFloat);
  a.attention_tail = matrix(layer.query_key_value.spare);
  a.query_key_value = matrix(layer.query_key_value.out);
  a.attention_out = matrix(c.query_columns() + layer.output.spare);
  a.log_sum_exp = buffers.empty({rows, c.heads}, at::kFloat);
  a.middle = matrix(c.hidden_size);
  a.feed_forward_rstd = buffers.empty({rows}, at::kFloat);
  a.feed_forward_tail = matrix(layer.gate_up.spare);
  a.gate_up = matrix(2 * c.intermediate_size + layer.gate_up.spare);
  a.down_tail = matrix(layer.down.spare);
  if (c.query_key_norm != QueryKeyNorm::none) {
    a.query_key = matrix(c.query_columns() + c.key_columns());
    const bool whole = c.query_key_norm == QueryKeyNorm::whole;
    a.query_rstd = whole ? buffers.empty({rows}, at::kFloat) : buffers.empty({rows, c.heads}, at::kFloat);
    a.key_rstd = whole ? buffers.empty({rows}, at::kFloat) : buffers.empty({rows, c.key_heads}, at::kFloat);
  }
  if (c.norm_after()) {
    a.attention_delta = matrix(c.hidden_size);
    a.attention_after_rstd = buffers.empty({rows}, at::kFloat);
    a.feed_forward_delta = matrix(c.hidden_size);
    a.feed_forward_after_rstd = buffers.empty({rows}, at::kFloat);
  }
  return a;
}

// Where the layers share one set of buffers it must be wide enough for each of them.
DecoderLayer widest(const Decoder& decoder) {
  DecoderLayer widest = decoder.layers.front();
  for (const DecoderLayer& layer : decoder.layers) {
    widest.query_key_value.spare = std::max(widest.query_key_value.spare, layer.query_key_value.spare);
    widest.output.spare = std::max(widest.output.spare, layer.output.spare);
    widest.gate_up.spare = std::max(widest.gate_up.spare, layer.gate_up.spare);
    widest.down.spare = std::max(widest.down.spare, layer.down.spare);
  }
  return widest;
}

}  // namespace

Activations::Activations(const Decoder& decoder, int64_t rows, Keep keep, Buffers buffers)
    : capacity(rows), keep(keep) {
  const DecoderConfig& c = decoder.config;
  const at::ScalarType type = decoder.type();
  const DecoderLayer wide = widest(decoder);
  if (keep == Keep::all) {
    for (const DecoderLayer& layer : decoder.layers) layers.push_back(take(c, layer, rows, type, buffers));
  } else {
    layers.push_back(take(c, wide, rows, type, buffers));
  }
  if (keep == Keep::inputs) {
    inputs.push_back(layers.front().input);
    while (inputs.size() < decoder.layers.size()) inputs.push_back(buffers.empty({rows, c.hidden_size}, type));
  }
  normed = buffers.empty({rows, c.hidden_size + std::max(wide.query_key_value.spare, wide.gate_up.spare)}, type);
  gated = buffers.empty({rows, c.intermediate_size + wide.down.spare}, type);
  final_in = buffers.empty({rows, c.hidden_size}, type);
  final_rstd = buffers.empty({rows}, at::kFloat);
  hidden = buffers.empty({rows, c.hidden_size}, type);
  bytes = buffers.bytes();
}

LayerActivations Activations::layer(size_t index) const {
  LayerActivations layer = layers[keep == Keep::all ? index : 0];
  if (keep == Keep::inputs) layer.input = inputs[index];
  return layer;
}

Gradients::Gradients(const Decoder& decoder, int64_t rows, Buffers buffers) : capacity(rows) {
  const DecoderConfig& c = decoder.config;
  const at::ScalarType type = decoder.type();
  const DecoderLayer wide = widest(decoder);
  const auto matrix = [&](int64_t columns) { return buffers.empty({rows, columns}, type); };
  joined_stream = matrix(c.hidden_size + std::max(wide.output.spare, wide.down.spare));
  if (c.norm_after() || c.residual_scale != 1) {
    joined_block = matrix(c.hidden_size + std::max(wide.output.spare, wide.down.spare));
  }
  normed = matrix(c.hidden_size);
  query_key_value = matrix(wide.query_key_value.out + wide.query_key_value.spare);
  attention_out = matrix(c.query_columns());
  gated = matrix(c.intermediate_size);
  update = matrix(wide.query_key_value.spare);
  bytes = buffers.bytes();
}

int64_t pass_bytes(const Decoder& decoder, int64_t rows, Keep keep) {
  const Buffers counted(Buffers::Mode::count);
  const int64_t forward = Activations(decoder, rows, keep, counted).bytes;
  return forward + (keep == Keep::nothing ? 0 : Gradients(decoder, rows, counted).bytes);
}

}  // namespace luthier
