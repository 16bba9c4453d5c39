// Root-mean-square norm (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019, eq. 4).
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier {

/// out[t] = x[t] / sqrt(mean(x[t]^2) + epsilon) * (weight + offset). x [T, E] and out [T, E], fp32 or bf16, rows may be
/// strided (a row stride larger than E); weight [E] of the same type; rstd [T] fp32 gets 1 / sqrt(mean + epsilon).
/// The mean and the product are taken in fp32. Each head of a row has a norm of its own where x and out are [T, H, E]
/// and rstd [T, H]. offset: 1 where weights are stored as their distance from one.
void rms_norm_forward(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out, at::Tensor& rstd,
                      double offset = 0);

/// x += delta, rounded to the type of x, and then rms_norm_forward of x, in one pass. x, delta [T, E].
void add_rms_norm_forward(at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double epsilon,
                          at::Tensor& out, at::Tensor& rstd, double offset = 0);

/// d_x += the gradient with respect to x. d_out, x, d_x [T, E] or [T, H, E]; rstd from forward. d_weight [E] fp32 is
/// added to when it is given (undefined tensor: no weight gradient), in a fixed order of rows.
void rms_norm_backward(const at::Tensor& d_out, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd,
                       at::Tensor& d_x, at::Tensor d_weight, double offset = 0);

}  // namespace luthier
