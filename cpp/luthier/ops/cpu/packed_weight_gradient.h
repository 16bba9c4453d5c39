// The gradient of a bf16 weight, summed in fp32.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::cpu {

/// d_weight += d_out' x * scale as in luthier/ops/linear.h, for bf16 operands on AVX-512 with bf16 products or AMX.
void packed_backward_weight(const at::Tensor& d_out, const at::Tensor& x, double scale, at::Tensor& d_weight);

}  // namespace luthier::cpu
