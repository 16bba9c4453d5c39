// The product of many rows with a thin matrix, as a low-rank update needs it: its time is that of reading the rows.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::cpu {

/// Whether thin_product takes x [T, K] and a matrix of `columns` columns, and is the faster way: bf16, AVX-512 with
/// bf16 products, an even K, at most 64 columns.
bool thin_product_takes(const at::Tensor& x, int64_t columns);

/// out [T, N] = x matrix, all bf16; sums in fp32. x [T, K], matrix [K, N]; one of the matrix's strides is 1. Threads
/// share the rows of x.
void thin_product(const at::Tensor& x, const at::Tensor& matrix, at::Tensor& out);

}  // namespace luthier::cpu
