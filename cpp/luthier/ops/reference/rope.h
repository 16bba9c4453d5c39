// Contracts as in luthier/ops/rope.h; double tensors are allowed too.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::reference {

/// Rotates by the angles, or with `sin` negated by `direction` = -1 by their negatives.
void rope(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin, double direction);

}  // namespace luthier::reference
