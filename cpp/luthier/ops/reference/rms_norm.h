// Contracts as in luthier/ops/rms_norm.h; double tensors are allowed too.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::reference {

void rms_norm_forward(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out, at::Tensor& rstd,
                      double offset);
void add_rms_norm_forward(at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double epsilon,
                          at::Tensor& out, at::Tensor& rstd, double offset);
void rms_norm_backward(const at::Tensor& d_out, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd,
                       at::Tensor& d_x, at::Tensor d_weight, double offset);

}  // namespace luthier::reference
