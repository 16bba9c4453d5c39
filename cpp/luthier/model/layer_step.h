// One decoder layer, forward and backward, over the memory of a pass. Private to model/.
#pragma once

#include "luthier/model/activations.h"
#include "luthier/model/decoder.h"
#include "luthier/model/forest_input.h"
#include "luthier/model/key_value_cache.h"

namespace luthier {

/// A layer of a pass: its weights and its activations cut to the rows of this pass.
struct LayerStep {
  const DecoderConfig& config;
  const RopeTable* rope;  // null: queries and keys are not rotated
  int32_t window;
  DecoderLayer& weights;
  LayerActivations saved;  // narrowed to T rows; what stands behind keys and values, to M
  const ForestInput& input;
  bool select;  // the last layer of a pass that selects rows: only they ask
  // Scratch; the first two are the same memory.
  at::Tensor attention_in;     // [T, hidden + spare]
  at::Tensor feed_forward_in;  // [M, hidden + spare]
  at::Tensor gated;            // [M, intermediate + spare]
  at::Tensor joined_gate_up;   // [M, 2 intermediate + spare]: saved.gate_up and the columns beside it

  /// q, k, v as [rows, heads, head_size] views of a buffer [rows, columns].
  at::Tensor queries(const at::Tensor& buffer) const;
  at::Tensor keys(const at::Tensor& buffer) const;
  at::Tensor values(const at::Tensor& buffer) const;
  /// The plan of this layer's attention.
  const AttentionPlan& plan() const;
};

/// Narrows the activations of layer `index` to T rows (and M, for a last layer that selects).
LayerStep make_layer_step(Decoder& decoder, Activations& activations, const ForestInput& input, size_t index);

/// `stream` += `delta` where that is defined, and `in` gets the input of the block behind it: the stream's norm, or
/// where the configuration has no norms before its blocks (`norm` is undefined), the stream itself.
void enter_block(const DecoderConfig& config, at::Tensor& stream, const at::Tensor& delta, const Weight& norm,
                 at::Tensor in, at::Tensor& rstd);

/// From saved.input, whose norm stands in attention_in, to saved.middle and the feed-forward block's output,
/// which is written to `out` [M, hidden]; the residual stream behind the layer is saved.middle + out.
void layer_forward(LayerStep& step, at::Tensor& out, KeyValueCache* cache, size_t index, const at::Tensor& cache_rows);

/// What layer_forward keeps, computed again from saved.input alone.
void layer_states_again(LayerStep& step);

/// Which parts of a layer backward has to reach.
struct BackwardReach {
  bool attention = true;  // the attention block: it, or something below, is trained
  bool input = true;      // the gradient of saved.input: something below the layer's first product is trained
};

/// gradients.stream holds the gradient of the residual stream behind the layer, and gets that of saved.input. `rows`:
/// how many rows it has, M before and T behind a layer that selects.
void layer_backward(LayerStep& step, Gradients& gradients, const BackwardReach& reach);

}  // namespace luthier
