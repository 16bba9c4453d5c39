// Tensors that are allocated, or only counted, so that the sizes of a workspace are written down once.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include <cstdint>

namespace luthier {

/// Hands out uninitialised tensors and adds up their bytes.
class Buffers {
 public:
  enum class Mode { allocate, count };
  explicit Buffers(Mode mode = Mode::allocate) : mode_(mode) {}

  /// A new tensor; undefined where it is only counted.
  at::Tensor empty(at::IntArrayRef sizes, at::ScalarType type) {
    bytes_ += c10::multiply_integers(sizes) * static_cast<int64_t>(c10::elementSize(type));
    return mode_ == Mode::allocate ? at::empty(sizes, type) : at::Tensor();
  }
  /// Of all tensors so far.
  int64_t bytes() const { return bytes_; }

 private:
  Mode mode_;
  int64_t bytes_ = 0;
};

}  // namespace luthier
