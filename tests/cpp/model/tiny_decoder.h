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

inline Decoder tiny_decoder(bool tied = true, bool biases = false, at::ScalarType type = at::kFloat) {
  uint64_t seed = 0;
  const auto matrix = [&](int64_t rows, int64_t columns) { return uniform({rows, columns}, ++seed, 0.5).to(type); };
  const auto vector = [&](int64_t size, double scale, double offset) {
    return uniform({size}, ++seed, scale, offset).to(type);
  };
  const auto linear = [&](int64_t in, const std::vector<std::pair<std::string, int64_t>>& parts) {
    int64_t rows = 0;
    for (const auto& [name, count] : parts) rows += count;
    return make_linear_layer(matrix(rows, in), biases ? vector(rows, 0.3, 0) : at::Tensor(), parts);
  };
  Decoder decoder;
  decoder.config = tiny_config(tied, biases);
  const DecoderConfig& c = decoder.config;
  decoder.embedding.value = matrix(c.vocabulary_size, c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) {
    DecoderLayer layer;
    layer.attention_norm.value = vector(c.hidden_size, 0.3, 1);
    layer.query_key_value = linear(
        c.hidden_size, {{"q_proj", c.query_columns()}, {"k_proj", c.key_columns()}, {"v_proj", c.key_columns()}});
    layer.output = linear(c.query_columns(), {{"o_proj", c.hidden_size}});
    layer.feed_forward_norm.value = vector(c.hidden_size, 0.3, 1);
    layer.gate_up = linear(c.hidden_size, {{"gate_proj", c.intermediate_size}, {"up_proj", c.intermediate_size}});
    layer.down = linear(c.intermediate_size, {{"down_proj", c.hidden_size}});
    decoder.layers.push_back(std::move(layer));
  }
  decoder.final_norm.value = vector(c.hidden_size, 0.3, 1);
  decoder.head.value = tied ? decoder.embedding.value : matrix(c.vocabulary_size, c.hidden_size);
  return decoder;
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
