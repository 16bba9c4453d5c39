// Products with a weight matrix. All matrices are [rows, columns] with contiguous columns; rows may be strided, so
// that an operand can be a block of columns of a wider buffer. fp32 or bf16, sums in fp32.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier {

/// out = x weight' + bias (+ out when accumulate). x [T, K]; weight [N, K]; bias [N] or undefined; out [T, N].
void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::Tensor& out,
                    bool accumulate = false);

/// d_x = d_out weight (+ d_x when accumulate). d_out [T, N]; weight [N, K]; d_x [T, K].
void linear_backward_input(const at::Tensor& d_out, const at::Tensor& weight, at::Tensor& d_x, bool accumulate = false);

/// d_weight += d_out' x * scale. d_out [T, N]; x [T, K]; d_weight [N, K] fp32, contiguous columns.
void linear_backward_weight(const at::Tensor& d_out, const at::Tensor& x, double scale, at::Tensor& d_weight);

/// d_bias += sum over t of d_out[t]. d_bias [N] fp32; the rows are added in a fixed order.
void linear_backward_bias(const at::Tensor& d_out, at::Tensor& d_bias);

}  // namespace luthier
