// The type in which the reference operations compute.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

namespace luthier::reference {

/// The tensor in the type it is computed in: fp32, or double for the double tensors of gradient checks.
inline at::Tensor widen(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat);
}

}  // namespace luthier::reference
