// What the tests of the dense operations share: random blocks of columns of wider buffers, instruction sets, errors.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "luthier/ops/instruction_set.h"

namespace luthier::testing {

/// Normal numbers of this type, the same for the same seed.
at::Tensor normal(at::IntArrayRef sizes, at::ScalarType type, uint64_t seed, double deviation = 1);

/// Integers in [0, limit), int32.
at::Tensor integers(int64_t count, int64_t limit, uint64_t seed);

/// The matrix as a block of columns of a wider buffer whose other columns hold a mark.
struct Block {
  explicit Block(const at::Tensor& matrix, int64_t left = 3, int64_t right = 5);
  at::Tensor buffer, view;
  /// Whether nothing has been written beside the block.
  bool intact() const;
  int64_t left;
};

/// A double copy that torch.autograd follows.
at::Tensor tracked(const at::Tensor& tensor);

/// The largest |value - truth| over the largest |truth|.
double largest_error(const at::Tensor& value, const at::Tensor& truth);

/// The largest |value - truth| / |truth| over the elements, each |truth| raised by a hundredth of the largest, since
/// sums that cancel have no relative accuracy.
double relative_error_of_elements(const at::Tensor& value, const at::Tensor& truth);

/// Whether two tensors hold the same bits.
bool same_bits(const at::Tensor& a, const at::Tensor& b);

/// What one rounding to the type may cost, with room for the rounding of the fp32 arithmetic before it.
double rounding(at::ScalarType type);

/// Calls body once for each instruction set of the machine and for fp32 and bf16, in a named scope.
void on_every_path(const std::function<void(at::ScalarType)>& body);

/// Another number of threads, while it lives.
class Threads {
 public:
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace luthier::testing
