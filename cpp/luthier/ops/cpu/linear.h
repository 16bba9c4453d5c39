// Contracts as in luthier/ops/linear.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::cpu {

void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::Tensor& out,
                    bool accumulate);
void linear_backward_input(const at::Tensor& d_out, const at::Tensor& weight, at::Tensor& d_x, bool accumulate);
void linear_backward_weight(const at::Tensor& d_out, const at::Tensor& x, double scale, at::Tensor& d_weight);
void linear_backward_bias(const at::Tensor& d_out, at::Tensor& d_bias);

}  // namespace luthier::cpu
