// A decoder: its configuration and its weights, and for the weights that are trained their gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "luthier/model/config.h"
#include "luthier/model/linear_layer.h"
#include "luthier/model/rope_table.h"

namespace luthier {

/// A vector or matrix of weights, and its gradient (fp32, undefined while the weight is frozen). Where some rows only
/// are trained the gradient has these rows: those of the value from `gradient_begin` on.
struct Weight {
  at::Tensor value;
  at::Tensor gradient;
  int64_t gradient_begin = 0;
};

/// The tokens [first, first + count) of a vocabulary.
struct TokenRange {
  int64_t first = 0, count = 0;
  int64_t end() const { return first + count; }
};

/// Norms that the configuration does not ask for are undefined.
struct DecoderLayer {
  Weight attention_norm;           // [hidden], before the block
  LinearLayer query_key_value;     // parts q_proj, k_proj, v_proj; or one, qkv_proj
  Weight query_norm, key_norm;     // [head_size], or [query columns] and [key columns]
  LinearLayer output;              // part o_proj
  Weight attention_after_norm;     // [hidden], behind the block
  Weight feed_forward_norm;        // [hidden]
  LinearLayer gate_up;             // parts gate_proj, up_proj; or one, gate_up_proj
  LinearLayer down;                // part down_proj
  Weight feed_forward_after_norm;  // [hidden]
};

struct Decoder {
  DecoderConfig config;
  Weight embedding;  // [vocabulary, hidden]
  std::vector<DecoderLayer> layers;
  Weight final_norm;             // [hidden]
  Weight head;                   // [vocabulary, hidden]; with a tied head the same tensors as the embedding's
  std::vector<RopeTable> ropes;  // of config.ropes; they grow with the longest row seen
  TokenRange trained_tokens;     // whose rows of embedding and head are trained beside an adapter; none: count 0

  at::ScalarType type() const { return embedding.value.scalar_type(); }
  /// Makes sure that the rotary tables cover positions [0, positions). Throws InputError when the model's rotary
  /// embedding is another one for rows of that length.
  void reserve_positions(int64_t positions);
};

/// A linear layer of the decoder with its place in it.
struct PlacedLinear {
  LinearLayer* layer;
  int64_t index;      // of the decoder layer
  std::string scope;  // "self_attn" or "mlp"
  /// "model.layers.3.self_attn.q_proj", the name that Transformers gives to a part of it.
  std::string name_of(const LinearPart& part) const;
};

/// Every linear layer, from the first decoder layer to the last.
std::vector<PlacedLinear> linear_layers(Decoder& decoder);

/// A norm of a layer, with the name that Transformers gives it behind "model.layers.3.".
struct PlacedNorm {
  const char* name;  // "input_layernorm"
  Weight DecoderLayer::* weight;
  int64_t size;
};

/// The norms that each layer of this configuration has.
std::vector<PlacedNorm> layer_norms(const DecoderConfig& config);

/// (name, rows) of the projections that stand in one matrix of the decoder, as files and adapters have them.
std::vector<std::pair<std::string, int64_t>> query_key_value_parts(const DecoderConfig& config);
std::vector<std::pair<std::string, int64_t>> gate_up_parts(const DecoderConfig& config);

/// A weight under the name that Transformers gives it; views of the decoder's own tensors.
struct NamedWeight {
  std::string name;
  at::Tensor value;
  at::Tensor gradient;  // undefined while frozen
};

/// Every weight of the decoder, without updates, in a fixed order. A tied head is not listed apart from the embedding.
std::vector<NamedWeight> named_weights(Decoder& decoder);

/// Gives every weight a gradient, zero (full fine-tuning), or none.
void train_all_weights(Decoder& decoder, bool train);

}  // namespace luthier
