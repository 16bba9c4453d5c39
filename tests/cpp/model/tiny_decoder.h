// A random decoder of odd sizes for tests, and what they compare with.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <vector>

#include "luthier/base/random.h"
#include "luthier/data/batch.h"
#include "luthier/model/decoder.h"
#include "luthier/model/forest_input.h"
#include "luthier/model/pass.h"

namespace luthier::testing {

/// Uniform numbers in offset +- scale, the same for the same seed.
inline at::Tensor uniform(at::IntArrayRef sizes, uint64_t seed, double scale = 1, double offset = 0) {
  at::Tensor out = at::empty(sizes, at::kFloat);
  Random random(seed, 77);
  float* value = out.data_ptr<float>();
  for (int64_t i = 0; i < out.numel(); ++i) value[i] = static_cast<float>(offset + scale * (2 * random.uniform() - 1));
  return out;
}

inline DecoderConfig tiny_config(bool tied, bool biases) {
  DecoderConfig c;
  c.family = "llama";
  c.vocabulary_size = 23;
  c.hidden_size = 12;
  c.intermediate_size = 14;
  c.layers = 2;
  c.heads = 3;
  c.key_heads = 1;
  c.head_size = 4;
  c.max_positions = 128;
  c.query_key_value_bias = c.output_bias = c.feed_forward_bias = biases;
  c.tied_head = tied;
  return c;
}

/// Random weights for a configuration.
inline Decoder random_decoder(const DecoderConfig& c, at::ScalarType type = at::kFloat) {
  uint64_t seed = 0;
  const auto matrix = [&](int64_t rows, int64_t columns) { return uniform({rows, columns}, ++seed, 0.5).to(type); };
  const auto vector = [&](int64_t size, double scale, double offset) {
    return uniform({size}, ++seed, scale, offset).to(type);
  };
  const auto linear = [&](int64_t in, const std::vector<std::pair<std::string, int64_t>>& parts, bool biases) {
    int64_t rows = 0;
    for (const auto& [name, count] : parts) rows += count;
    return make_linear_layer(matrix(rows, in), biases ? vector(rows, 0.3, 0) : at::Tensor(), parts);
  };
  Decoder decoder;
  decoder.config = c;
  decoder.embedding.value = matrix(c.vocabulary_size, c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) {
    DecoderLayer layer;
    for (const PlacedNorm& norm : layer_norms(c)) (layer.*norm.weight).value = vector(norm.size, 0.3, 1);
    layer.query_key_value = linear(c.hidden_size, query_key_value_parts(c), c.query_key_value_bias);
    layer.output = linear(c.query_columns(), {{"o_proj", c.hidden_size}}, c.output_bias);
    layer.gate_up = linear(c.hidden_size, gate_up_parts(c), c.feed_forward_bias);
    layer.down = linear(c.intermediate_size, {{"down_proj", c.hidden_size}}, c.feed_forward_bias);
    decoder.layers.push_back(std::move(layer));
  }
  decoder.final_norm.value = vector(c.hidden_size, 0.3, 1);
  decoder.head.value = c.tied_head ? decoder.embedding.value : matrix(c.vocabulary_size, c.hidden_size);
  return decoder;
}

inline Decoder tiny_decoder(bool tied = true, bool biases = false, at::ScalarType type = at::kFloat) {
  return random_decoder(tiny_config(tied, biases), type);
}

/// A configuration for each thing that families do differently, with its name.
inline std::vector<std::pair<std::string, DecoderConfig>> varied_configs() {
  std::vector<std::pair<std::string, DecoderConfig>> all;
  const auto add = [&](const char* name, auto change) {
    DecoderConfig config = tiny_config(true, false);
    change(config);
    all.emplace_back(name, config);
  };
  add("plain", [](DecoderConfig&) {});
  add("norms behind", [](DecoderConfig& c) { c.norms = NormPlacement::after; });
  add("norms on both sides", [](DecoderConfig& c) { c.norms = NormPlacement::both, c.norm_offset = 1; });
  add("norms of heads", [](DecoderConfig& c) { c.query_key_norm = QueryKeyNorm::per_head; });
  add("norms of whole queries", [](DecoderConfig& c) { c.query_key_norm = QueryKeyNorm::whole; });
  add("fused", [](DecoderConfig& c) { c.fused = true; });
  add("a window and no rotation", [](DecoderConfig& c) { c.layer_settings = {{5, -1}, {0, 0}}; });
  add("two rotations", [](DecoderConfig& c) {
    c.ropes.resize(2);
    c.ropes[1].base = 100;
    c.ropes[1].dimensions = 2;
    c.layer_settings = {{0, 0}, {4, 1}};
  });
  add("multipliers", [](DecoderConfig& c) {
    c.embedding_scale = 3, c.residual_scale = 0.4, c.attention_scale = 0.7, c.logit_scale = 0.5;
  });
  add("soft caps", [](DecoderConfig& c) { c.attention_soft_cap = 1, c.logit_soft_cap = 2; });
  return all;
}

/// The hidden states after every token of a sequence, [tokens, hidden].
inline at::Tensor hidden_states(Decoder& decoder, const std::vector<int32_t>& tokens,
                                const std::vector<int64_t>& selected = {}) {
  const std::vector<const std::vector<int32_t>*> rows{&tokens};
  const Batch batch = make_prompt_batch(rows, 0, nullptr);
  DecoderPass pass(decoder);
  return pass.forward(make_forest_input(batch, selected, decoder.config), false).clone();
}

inline std::vector<int32_t> random_tokens(int64_t count, uint64_t seed, uint32_t vocabulary = 23) {
  Random random(seed, 78);
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(vocabulary));
  return tokens;
}

/// The Frobenius norm of the difference over that of `wanted`.
inline double relative_error(const at::Tensor& found, const at::Tensor& wanted) {
  const at::Tensor truth = wanted.to(at::kDouble);
  return (found.to(at::kDouble) - truth).norm().item<double>() / truth.norm().item<double>();
}

}  // namespace luthier::testing
