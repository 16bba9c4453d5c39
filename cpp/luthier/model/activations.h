// The memory of a pass: what forward leaves for backward, and scratch. Allocated for a number of rows and used again.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "luthier/model/buffers.h"
#include "luthier/model/decoder.h"

namespace luthier {

/// What forward keeps of one decoder layer. T rows; in a last layer that computes selected rows only, everything behind
/// the keys and values has as many rows as were selected.
struct LayerActivations {
  at::Tensor input;              // [T, hidden]: the residual stream
  at::Tensor attention_rstd;     // [T]: of the norm, which itself is not kept
  at::Tensor attention_tail;     // [T, spare]: the update's columns beside it
  at::Tensor query_key_value;    // [T, columns], rotated
  at::Tensor attention_out;      // [T, query columns + spare]
  at::Tensor log_sum_exp;        // [T, heads]
  at::Tensor middle;             // [T, hidden]: the residual stream after attention
  at::Tensor feed_forward_rstd;  // [T]
  at::Tensor feed_forward_tail;  // [T, spare]
  at::Tensor gate_up;            // [T, 2 intermediate + spare]: the last columns are backward's
  at::Tensor down_tail;          // [T, spare]: the update's columns of the gated product, which is not kept
  // Undefined where the configuration has no such norms:
  at::Tensor query_key;                // [T, query and key columns]: before their norms
  at::Tensor query_rstd, key_rstd;     // [T, heads] and [T, key heads], or [T]
  at::Tensor attention_delta;          // [T, hidden]: a block's output before the norm behind it
  at::Tensor attention_after_rstd;     // [T]
  at::Tensor feed_forward_delta;       // [T, hidden]
  at::Tensor feed_forward_after_rstd;  // [T]
};

/// What forward leaves for backward.
enum class Keep {
  nothing,  // all layers share one set of buffers
  inputs,   // as before, but the input of each layer stays, from which backward computes the layer again (Chen et al.,
            // "Training Deep Nets with Sublinear Memory Cost", 2016)
  all,      // every layer has buffers of its own
};

struct Activations {
  Activations(const Decoder& decoder, int64_t rows, Keep keep, Buffers buffers = Buffers());

  int64_t capacity;
  int64_t bytes;  // of all tensors
  Keep keep;
  std::vector<LayerActivations> layers;  // one for each decoder layer, or one for all
  std::vector<at::Tensor> inputs;        // with Keep::inputs one for each decoder layer
  at::Tensor normed;                     // [T, hidden + spare] scratch: a block's input, after its norm
  at::Tensor gated;                      // [T, intermediate + spare] scratch
  at::Tensor final_in;                   // [T, hidden]: the residual stream behind the last layer
  at::Tensor final_rstd;                 // [T]
  at::Tensor hidden;                     // [T, hidden]: after the final norm

  /// The buffers of a decoder layer.
  LayerActivations layer(size_t index) const;
};

/// Scratch of backward.
struct Gradients {
  Gradients(const Decoder& decoder, int64_t rows, Buffers buffers = Buffers());

  int64_t capacity;
  int64_t bytes;               // of all tensors
  at::Tensor joined_stream;    // [T, hidden + most spare columns of output and down]: of the residual stream
  at::Tensor joined_block;     // the same shape: of a block's output, where that is not the stream's; else undefined
  at::Tensor normed;           // [T, hidden]
  at::Tensor query_key_value;  // [T, columns + spare]
  at::Tensor attention_out;    // [T, query columns]
  at::Tensor gated;            // [T, intermediate]
  at::Tensor update;           // [T, spare columns of query_key_value], where its parts are taken apart

  /// [rows, hidden]: the first columns of joined_stream.
  at::Tensor stream(int64_t rows) const { return joined_stream.narrow(0, 0, rows).narrow(1, 0, normed.size(1)); }
};

/// The bytes that a pass over `rows` rows allocates: its activations and, if it keeps any, the scratch of backward.
/// Counted by the constructors above; nothing is allocated.
int64_t pass_bytes(const Decoder& decoder, int64_t rows, Keep keep);

}  // namespace luthier
