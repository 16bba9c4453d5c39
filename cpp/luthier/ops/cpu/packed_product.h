// The product of many rows with a matrix, as the layers of a decoder need it.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::cpu {

/// Whether packed_product takes x [T, K] and is the faster way: bf16, AVX-512 with bf16 products, an even K, and rows
/// enough to pay for packing the matrix.
bool packed_product_takes(const at::Tensor& x);

/// out [T, N] = x matrix + bias, or that added to out when accumulate; all bf16, sums in fp32. x [T, K], matrix [K, N]
/// with a stride of 1 in one dimension, bias [N] or undefined. A row of out has the same bits whatever the other rows
/// are, and whatever the number of threads.
void packed_product(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias, bool accumulate,
                    at::Tensor& out);

}  // namespace luthier::cpu
