#include "luthier/model/families/gguf_reader.h"

#include <array>
#include <cmath>
#include <vector>

#include "luthier/base/error.h"
#include "luthier/formats/gguf_blocks.h"

namespace luthier {
namespace {

// As in config_reader.cpp: keys that change what a decoder computes, and the value at which they change nothing.
struct Feature {
  std::string_view name;
  double neutral = 0;
};
constexpr std::array kFeatures = std::to_array<Feature>({
    {"attention.clamp_kqv"},
    {"attention.max_alibi_bias"},
    {"attention.scale"},
    {"attention.sliding_window"},
    {"attn_logit_softcapping"},
    {"embedding_scale", 1},
    {"final_logit_softcapping"},
    {"logit_scale", 1},
    {"residual_scale", 1},
});

std::vector<double> divisors_of(const GgufFile& file, const TensorView& tensor) {
  // check_config compares the count with the pairs of a head.
  if (tensor.shape.size() != 1) fail_input(file.path(), ": ", tensor.name, " has shape ", shape_text(tensor.shape));
  std::vector<float> values(static_cast<size_t>(tensor.shape.front()));
  dequantize(tensor, values);
  return {values.begin(), values.end()};
}

// The names of scalings as llama.cpp writes them.
void read_scaling(GgufReader& reader, RopeScaling& scaling) {
  const std::string type =
      reader.has("rope.scaling.type") ? std::string(reader.file.string(reader.key("rope.scaling.type"))) : "none";
  scaling.original_positions = reader.integer("rope.scaling.original_context_length", 0);
  if (type == "linear") {
    scaling.kind = RopeScaling::Kind::linear;
    scaling.factor = reader.real("rope.scaling.factor", 1);
  } else if (type == "yarn") {
    scaling.kind = RopeScaling::Kind::yarn;
    scaling.factor = reader.real("rope.scaling.factor", 1);
    if (scaling.original_positions < 1)
      fail_input(reader.file.path(), ": ", reader.key("rope.scaling.original_context_length"), " is missing");
    scaling.beta_fast = reader.real("rope.scaling.yarn_beta_fast", 32);
    scaling.beta_slow = reader.real("rope.scaling.yarn_beta_slow", 1);
    const double amplitude = scaling.factor <= 1 ? 1 : 0.1 * std::log(scaling.factor) + 1;
    scaling.amplitude = amplitude * reader.real("rope.scaling.attn_factor", 1);
  } else if (type != "none" && type != "longrope") {
    fail_input(reader.file.path(), ": ", reader.key("rope.scaling.type"), " is \"", type,
               "\", which is not supported; supported: none, linear, yarn, longrope");
  }
  // Llama 3's scaling, and LongRoPE's, are stored as the divisor of each pair.
  if (const TensorView* divisors = reader.file.find_tensor("rope_freqs.weight")) {
    scaling.kind = RopeScaling::Kind::divided;
    scaling.divisors = divisors_of(reader.file, *divisors);
  }
  if (const TensorView* divisors = reader.file.find_tensor("rope_factors_short.weight")) {
    scaling.kind = RopeScaling::Kind::divided;
    scaling.divisors = divisors_of(reader.file, *divisors);
    scaling.most_positions = scaling.original_positions;
    scaling.amplitude = reader.real("rope.scaling.attn_factor", 1);
  }
}

}  // namespace

bool GgufReader::has(std::string_view name) {
  read_.emplace(name);
  return file.has(key(name));
}

int64_t GgufReader::integer(std::string_view name) {
  read_.emplace(name);
  return file.integer(key(name));
}

double GgufReader::real(std::string_view name) {
  read_.emplace(name);
  return file.real(key(name));
}

void GgufReader::refuse_unread() const {
  for (const Feature& feature : kFeatures) {
    const std::string name = key(feature.name);
    if (read_.contains(feature.name) || !file.has(name) || file.real(name) == feature.neutral) continue;
    fail_input(file.path(), ": ", name, " is ", file.real(name),
               ", and it would change what the model computes: this architecture has no such setting here");
  }
}

DecoderConfig read_common(GgufReader& reader, std::string_view family) {
  const GgufFile& file = reader.file;
  if (reader.integer("expert_count", 0) > 0) {
    fail_input(file.path(), ": ", reader.key("expert_count"), " is above zero: mixtures of experts are not supported");
  }
  const TensorView& embedding = file.tensor("token_embd.weight");
  if (embedding.shape.size() != 2)
    fail_input(file.path(), ": token_embd.weight has shape ", shape_text(embedding.shape));
  DecoderConfig c;
  c.family = family;
  c.vocabulary_size = embedding.shape[0];
  c.hidden_size = reader.integer("embedding_length");
  c.intermediate_size = reader.integer("feed_forward_length");
  c.layers = reader.integer("block_count");
  c.heads = reader.integer("attention.head_count");
  c.key_heads = reader.integer("attention.head_count_kv", c.heads);
  c.head_size = reader.integer("attention.key_length", c.heads > 0 ? c.hidden_size / c.heads : 0);
  c.max_positions = reader.integer("context_length", 2048);
  c.norm_epsilon = reader.real("attention.layer_norm_rms_epsilon");
  c.query_key_value_bias = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  c.output_bias = file.find_tensor("blk.0.attn_output.bias") != nullptr;
  c.feed_forward_bias = file.find_tensor("blk.0.ffn_gate.bias") != nullptr;
  c.tied_head = file.find_tensor("output.weight") == nullptr;
  RopeSettings& rope = c.ropes.front();
  rope.base = reader.real("rope.freq_base", 10000);
  const int64_t dimensions = reader.integer("rope.dimension_count", c.head_size);
  if (dimensions != c.head_size) rope.dimensions = dimensions;
  read_scaling(reader, rope.scaling);
  return c;
}

}  // namespace luthier
