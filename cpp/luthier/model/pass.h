// Forward and backward over a decoder, layer by layer. There is no autograd graph: each step below is one operation and
// its written-out gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "luthier/model/activations.h"
#include "luthier/model/decoder.h"
#include "luthier/model/forest_input.h"
#include "luthier/model/key_value_cache.h"

namespace luthier {

/// Runs a decoder and owns the memory that this takes, which is used again by the next pass. Not for concurrent use.
class DecoderPass {
 public:
  /// The decoder must outlive the pass. After a change of its updates (ranks), call release(). recompute: forward keeps
  /// the layers' inputs only and backward computes each layer again; the same gradients, bit for bit.
  explicit DecoderPass(Decoder& decoder, bool recompute = false)
      : decoder_(decoder), kept_(recompute ? Keep::inputs : Keep::all) {}

  /// The hidden states after the final norm, [M, hidden], of the selected rows (of all rows if none are selected). A
  /// view that the next pass overwrites. keep: leave what backward needs.
  at::Tensor forward(const ForestInput& input, bool keep);

  /// The same over new tokens behind those of a cache: keys and values go to the cache's rows `cache_rows` [T] int64,
  /// and the plan's key rows are rows of the cache.
  at::Tensor forward_cached(const ForestInput& input, KeyValueCache& cache, const at::Tensor& cache_rows);

  /// Adds to the gradient of every trained weight, from d_hidden [M, hidden], the gradient of what the last forward
  /// with keep returned. Stops below the lowest layer that is trained.
  void backward(const ForestInput& input, const at::Tensor& d_hidden);

  /// Frees the memory.
  void release();

 private:
  at::Tensor run(const ForestInput& input, Keep keep, KeyValueCache* cache, const at::Tensor& cache_rows);

  Decoder& decoder_;
  Keep kept_;  // where anything is
  std::unique_ptr<Activations> activations_;
  std::unique_ptr<Gradients> gradients_;
};

}  // namespace luthier
