// What a decoder is, as data. One decoder reads all of it; a model family is a mapping to this struct.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "luthier/ops/gated.h"

namespace luthier {

/// How the rotary angles of long contexts are changed.
struct RopeScaling {
  enum class Kind { none, linear, llama3 };
  Kind kind = Kind::none;
  double factor = 1;
  // llama3 (Llama 3.1 model card and reference code): wavelengths above original / low are divided by factor, those
  // below original / high stay, and those between are interpolated.
  double low_frequency_factor = 1, high_frequency_factor = 4;
  int64_t original_positions = 8192;
};

struct DecoderConfig {
  std::string family;  // "llama", ...
  int64_t vocabulary_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t key_heads = 0;
  int64_t head_size = 0;
  int64_t max_positions = 0;
  double norm_epsilon = 1e-5;
  double rope_base = 10000;
  RopeScaling rope_scaling;
  Activation activation = Activation::silu;
  bool query_key_value_bias = false;
  bool output_bias = false;
  bool feed_forward_bias = false;
  bool tied_head = false;

  int64_t query_columns() const { return heads * head_size; }
  int64_t key_columns() const { return key_heads * head_size; }
};

/// Throws InputError, naming `source` (a file) and the key, when a value is out of range or contradicts another.
void check_config(const DecoderConfig& config, const std::string& source);

}  // namespace luthier
