// Contracts as in luthier/ops/rope.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::cpu {

/// Rotates by the angles, or with `sin` negated by `direction` = -1 by their negatives.
void rope(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin, double direction);

}  // namespace luthier::cpu
