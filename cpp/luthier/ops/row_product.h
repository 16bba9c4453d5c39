// A matrix product whose every row is as exact as the others.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

namespace luthier {

/// out = scale x matrix, or out + scale x matrix when accumulate. x [T, K], matrix [K, N], out [T, N] of one type.
/// MKL computes the last T mod 4 rows of an fp32 product with one running sum over K, which loses up to two digits
/// where terms cancel. They are computed as part of four rows here.
inline void row_product(at::Tensor& out, const at::Tensor& x, const at::Tensor& matrix, bool accumulate,
                        double scale = 1) {
  const int64_t rows = x.size(0);
  const int64_t whole = x.scalar_type() == at::kFloat ? rows / 4 * 4 : rows;
  if (whole > 0) {
    at::Tensor out_whole = out.narrow(0, 0, whole);
    const at::Tensor x_whole = x.narrow(0, 0, whole);
    if (accumulate || scale != 1) {
      at::addmm_out(out_whole, out_whole, x_whole, matrix, /*beta=*/accumulate ? 1 : 0, /*alpha=*/scale);
    } else {
      at::mm_out(out_whole, x_whole, matrix);
    }
  }
  if (whole == rows) return;
  const int64_t rest = rows - whole;
  at::Tensor four = at::zeros({4, x.size(1)}, x.options());
  four.narrow(0, 0, rest).copy_(x.narrow(0, whole, rest));
  const at::Tensor product = at::mm(four, matrix).narrow(0, 0, rest);
  at::Tensor out_rest = out.narrow(0, whole, rest);
  if (accumulate) {
    out_rest.add_(product, scale);
  } else {
    out_rest.copy_(product).mul_(scale);
  }
}

/// x matrix as a new tensor.
inline at::Tensor row_product(const at::Tensor& x, const at::Tensor& matrix) {
  at::Tensor out = at::empty({x.size(0), matrix.size(1)}, x.options());
  row_product(out, x, matrix, /*accumulate=*/false);
  return out;
}

}  // namespace luthier
