// What a decoder is, as data. One decoder reads all of it; a model family is a mapping to this struct.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "luthier/ops/gated.h"
#include "luthier/ops/token_logprob.h"

namespace luthier {

/// How the rotary frequencies are changed for long contexts.
struct RopeScaling {
  enum class Kind { none, linear, llama3, yarn, divided };
  Kind kind = Kind::none;
  double factor = 1;
  // llama3 (Llama 3.1 model card and reference code): wavelengths above original / low are divided by factor, those
  // below original / high stay, and those between are interpolated.
  double low_frequency_factor = 1, high_frequency_factor = 4;
  int64_t original_positions = 8192;
  // yarn (Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models", 2023, eq. 17 to 20): pairs
  // that turn more than beta_fast times over the original positions stay, those below beta_slow are divided by factor.
  double beta_fast = 32, beta_slow = 1;
  bool whole_pairs = true;  // the bounds between the two are rounded to whole pairs
  // divided: the frequency of each pair is divided by a number of its own (LongRoPE, Ding et al., 2024). Some files
  // have other divisors for rows longer than most_positions (0: no such limit).
  std::vector<double> divisors;
  int64_t most_positions = 0;
  // Cosines and sines are multiplied by this, and so scores by its square.
  double amplitude = 1;
};

/// A rotary embedding: the angle of position p and pair i is p * base^(-2 i / dimensions), scaled.
struct RopeSettings {
  double base = 10000;
  int64_t dimensions = 0;  // of a head, from its first on; the others are left as they are. 0: all
  RopeScaling scaling;
};

/// What differs from layer to layer.
struct LayerSettings {
  int32_t window = 0;  // a token sees only those less than this many positions back; 0: all
  int32_t rope = 0;    // index into DecoderConfig::ropes; -1: no rotation
};

/// Where a layer has norms: before its two blocks, behind them (before the result joins the residual stream), or both.
enum class NormPlacement { before, after, both };

/// Norms of queries and keys before their rotation: none, one for each head, or one for all heads together.
enum class QueryKeyNorm { none, per_head, whole };

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
  double norm_offset = 0;  // 1 where a norm's weight is stored as its distance from one
  NormPlacement norms = NormPlacement::before;
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;
  std::vector<RopeSettings> ropes{RopeSettings{}};
  std::vector<LayerSettings> layer_settings;  // one for each layer; empty: all have the defaults
  Activation activation = Activation::silu;
  bool query_key_value_bias = false;
  bool output_bias = false;
  bool feed_forward_bias = false;
  bool fused = false;  // files, and adapters, hold qkv_proj and gate_up_proj instead of their parts
  bool tied_head = false;
  double attention_scale = 0;     // of the scores; 0: 1 / sqrt(head_size)
  double attention_soft_cap = 0;  // scores s become cap tanh(s / cap); 0: they do not
  double embedding_scale = 1;
  double residual_scale = 1;  // of what a block adds to the residual stream
  double logit_scale = 1;
  double logit_soft_cap = 0;

  int64_t query_columns() const { return heads * head_size; }
  int64_t key_columns() const { return key_heads * head_size; }
  LayerSettings layer(int64_t index) const {
    return layer_settings.empty() ? LayerSettings{} : layer_settings[static_cast<size_t>(index)];
  }
  bool norm_before() const { return norms != NormPlacement::after; }
  bool norm_after() const { return norms != NormPlacement::before; }
  LogitMap logit_map() const { return {logit_scale, logit_soft_cap}; }
};

/// Sets the window of the layers for which `slides` is true. May come before check_config.
void set_windows(int64_t window, const std::function<bool(int64_t)>& slides, DecoderConfig& config);

/// The windows of the layers, each once, in the order of their first layer.
std::vector<int32_t> windows_of(const DecoderConfig& config);

/// Throws InputError, naming `source` (a file) and the key, when a value is out of range or contradicts another.
void check_config(const DecoderConfig& config, const std::string& source);

}  // namespace luthier
