#include "luthier/ops/cpu/thin_product.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>

#include "luthier/ops/cpu/arithmetic.h"
#include "luthier/ops/cpu/pack.h"
#include "luthier/ops/cpu/scratch.h"
#include "luthier/ops/cpu/types.h"

namespace luthier::cpu {
namespace {

using at::BFloat16;

constexpr int64_t kMaximumColumns = 64;
constexpr int64_t kColumnMultiple = 16;
constexpr int64_t kRows = 64;  // of a tile; a shorter one is filled up, so that one kernel serves all row counts

/// The matrix [K, N] in pairs of rows of `width` columns.
BFloat16* pack(const at::Tensor& matrix, int64_t width) {
  const int64_t rows = matrix.size(0), columns = matrix.size(1);
  const BFloat16* data = matrix.const_data_ptr<BFloat16>();
  BFloat16* packed = scratch<BFloat16>(Scratch::packed_b, rows * width);
  if (matrix.stride(1) == 1) {
    pack_rows(data, matrix.stride(0), rows, columns, rows, packed, width);
  } else {
    pack_columns(data, matrix.stride(1), columns, rows, packed, width);
  }
  return packed;
}

}  // namespace

bool thin_product_takes(const at::Tensor& x, int64_t columns) {
  return x.scalar_type() == at::kBFloat16 && instruction_set() >= InstructionSet::avx512 && x.size(1) % 2 == 0 &&
         columns <= kMaximumColumns;
}

void thin_product(const at::Tensor& x, const at::Tensor& matrix, at::Tensor& out) {
  const int64_t rows = x.size(0), depth = x.size(1), columns = matrix.size(1);
  const int64_t width = (columns + kColumnMultiple - 1) / kColumnMultiple * kColumnMultiple;
  const BFloat16* packed = pack(matrix, width);
  const BFloat16* source = x.const_data_ptr<BFloat16>();
  BFloat16* target = out.mutable_data_ptr<BFloat16>();
  const int64_t x_stride = x.stride(0), out_stride = out.stride(0);
  at::parallel_for(0, (rows + kRows - 1) / kRows, 1, [&](int64_t begin, int64_t end) {
    alignas(64) float product[kRows * kMaximumColumns];
    for (int64_t first = begin * kRows; first < std::min(rows, end * kRows); first += kRows) {
      const int64_t count = std::min(kRows, rows - first);
      const BFloat16* tile = source + first * x_stride;
      int64_t stride = x_stride;
      if (count < kRows) {
        BFloat16* filled = scratch<BFloat16>(Scratch::packed_a, kRows * depth);
        copy_rows(tile, x_stride, count, depth, kRows, filled);
        tile = filled;
        stride = depth;
      }
      at::native::cpublas::brgemm(kRows, width, depth, stride, width, width, /*add_C=*/false, tile, packed, product);
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = 0; t < count; ++t) {
#pragma omp simd
          for (int64_t n = 0; n < columns; ++n) {
            store(target + (first + t) * out_stride + n, product[t * width + n]);
          }
        }
      });
    }
    at::native::cpublas::brgemm_release();
  });
}

}  // namespace luthier::cpu
