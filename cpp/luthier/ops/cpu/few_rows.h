// The product of a few rows with a large bf16 matrix, as decoding needs it: its time is that of reading the matrix.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::cpu {

/// Whether few_rows_product takes x, and is the faster way: bf16, AVX-512 with bf16 products, at most 64 rows.
bool few_rows_takes(const at::Tensor& x);

/// out = scale * x weight' + bias (+ out when accumulate), rounded once. x [T, K] and weight [N, K] bf16, bias [N] bf16
/// or undefined, out [T, N] fp32 or bf16. Threads share the rows of the weight.
void few_rows_product(const at::Tensor& x, const at::Tensor& weight, double scale, const at::Tensor& bias,
                      bool accumulate, at::Tensor& out);

}  // namespace luthier::cpu
