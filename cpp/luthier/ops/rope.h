// Rotary position embedding (Su et al., "RoFormer", 2021, eq. 34), in the layout that rotates the two
// halves of a head against each other, as Transformers stores Llama weights.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier {

/// Rotates x in place: x [T, H, D] fp32 or bf16, rows may be strided; positions [T] int32; cos and sin [P, D/2] fp32,
/// P > every position. (a, b) of a head's halves become (a cos - b sin, b cos + a sin). If 2 * cos.size(1) < D, only
/// the first 2 * cos.size(1) columns of a head rotate.
void rope_forward(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin);

/// The gradient: the same rotation by the negative angle, in place.
void rope_backward(at::Tensor& d_x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace luthier
