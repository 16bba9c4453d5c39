#include "luthier/ops/cpu/few_rows.h"

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

constexpr int64_t kDotRows = 4;       // up to here the matrix is read row by row and multiplied by dot products
constexpr int64_t kMaximumRows = 64;  // up to here the product is weight x', so that the weight need not be packed
constexpr int64_t kRowMultiple = 16;
constexpr int64_t kWeightRows = 64;  // rows of the weight in one tile
constexpr int64_t kLine = 64 / sizeof(BFloat16);

struct Weight {
  const BFloat16* data;
  int64_t rows, columns, stride;
};

/// What becomes of a product before it is written.
template <class Out>
struct Epilogue {
  float scale;
  const BFloat16* bias;
  bool accumulate;
  Out* out;
  int64_t stride;

  /// values [rows][stride] are the products of rows of x with the rows [first, first + count) of the weight.
  LUTHIER_INLINE void write(const float* values, int64_t value_stride, int64_t rows, int64_t first,
                            int64_t count) const {
    for (int64_t t = 0; t < rows; ++t) {
      Out* target = out + t * stride + first;
      const float* source = values + t * value_stride;
#pragma omp simd
      for (int64_t n = 0; n < count; ++n) {
        float value = scale * source[n];
        if (bias != nullptr) value += load(bias + first + n);
        if (accumulate) value += load(target + n);
        store(target + n, value);
      }
    }
  }
};

/// values[t][n] = weight[first + n] . x[t] for kRows rows of x in fp32.
template <int64_t kRows>
LUTHIER_INLINE void dot_products(const Weight& weight, const float* x, int64_t first, int64_t count, float* values) {
  for (int64_t n = 0; n < count; ++n) {
    const BFloat16* row = weight.data + (first + n) * weight.stride;
    float a = 0, b = 0, c = 0, d = 0;
#pragma omp simd reduction(+ : a, b, c, d)
    for (int64_t k = 0; k < weight.columns; ++k) {
      const float w = load(row + k);
      a += w * x[k];
      if constexpr (kRows > 1) b += w * x[weight.columns + k];
      if constexpr (kRows > 2) c += w * x[2 * weight.columns + k];
      if constexpr (kRows > 3) d += w * x[3 * weight.columns + k];
    }
    values[n] = a;
    if constexpr (kRows > 1) values[kWeightRows + n] = b;
    if constexpr (kRows > 2) values[2 * kWeightRows + n] = c;
    if constexpr (kRows > 3) values[3 * kWeightRows + n] = d;
  }
}

LUTHIER_INLINE void dot_products(int64_t rows, const Weight& weight, const float* x, int64_t first, int64_t count,
                                 float* values) {
  switch (rows) {
    case 1:
      return dot_products<1>(weight, x, first, count, values);
    case 2:
      return dot_products<2>(weight, x, first, count, values);
    case 3:
      return dot_products<3>(weight, x, first, count, values);
    default:
      return dot_products<4>(weight, x, first, count, values);
  }
}

template <class Out>
void by_dot_products(const BFloat16* x, int64_t x_stride, int64_t rows, const Weight& weight,
                     const Epilogue<Out>& epilogue, int64_t grain) {
  float* wide = scratch<float>(Scratch::packed_b, rows * weight.columns);
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t k = 0; k < weight.columns; ++k) wide[t * weight.columns + k] = load(x + t * x_stride + k);
  }
  at::parallel_for(0, (weight.rows + kWeightRows - 1) / kWeightRows, grain, [&](int64_t begin, int64_t end) {
    alignas(64) float values[kDotRows * kWeightRows];
    for (int64_t first = begin * kWeightRows; first < std::min(weight.rows, end * kWeightRows); first += kWeightRows) {
      const int64_t count = std::min(kWeightRows, weight.rows - first);
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        dot_products(rows, weight, wide, first, count, values);
        epilogue.write(values, kWeightRows, rows, first, count);
      });
    }
  });
}

template <class Out>
void by_tiles(const BFloat16* x, int64_t x_stride, int64_t rows, const Weight& weight, const Epilogue<Out>& epilogue,
              int64_t grain) {
  const int64_t width = (rows + kRowMultiple - 1) / kRowMultiple * kRowMultiple;
  BFloat16* packed = scratch<BFloat16>(Scratch::packed_b, width * weight.columns);
  pack_columns(x, x_stride, rows, weight.columns, packed, width);
  at::parallel_for(0, (weight.rows + kWeightRows - 1) / kWeightRows, grain, [&](int64_t begin, int64_t end) {
    alignas(64) float product[kWeightRows * kMaximumRows];
    alignas(64) float turned[kMaximumRows * kWeightRows];
    for (int64_t first = begin * kWeightRows; first < std::min(weight.rows, end * kWeightRows); first += kWeightRows) {
      const int64_t count = std::min(kWeightRows, weight.rows - first);
      const BFloat16* tile = weight.data + first * weight.stride;
      // The kernel walks down the columns of its tile, which the hardware does not foresee: ask for the next tile.
      for (int64_t n = count; n < std::min(2 * count, weight.rows - first); ++n) {
        for (int64_t k = 0; k < weight.columns; k += kLine) __builtin_prefetch(tile + n * weight.stride + k);
      }
      at::native::cpublas::brgemm(count, width, weight.columns, weight.stride, width, width, /*add_C=*/false, tile,
                                  packed, product);
      transpose(product, width, count, width, turned, kWeightRows);
      vectorized([&]() LUTHIER_INLINE_LAMBDA { epilogue.write(turned, kWeightRows, rows, first, count); });
    }
    at::native::cpublas::brgemm_release();
  });
}

}  // namespace

bool few_rows_takes(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 && instruction_set() >= InstructionSet::avx512 &&
         (x.size(0) <= kDotRows || (x.size(0) <= kMaximumRows && x.size(1) % 2 == 0));
}

void few_rows_product(const at::Tensor& x, const at::Tensor& weight, double scale, const at::Tensor& bias,
                      bool accumulate, at::Tensor& out) {
  const Weight matrix{weight.const_data_ptr<BFloat16>(), weight.size(0), weight.size(1), weight.stride(0)};
  const int64_t grain = std::max<int64_t>(1, 65536 / (kWeightRows * std::max<int64_t>(1, matrix.columns)));
  with_type(out, [&]<class Out>(Out*) {
    const Epilogue<Out> epilogue{static_cast<float>(scale), bias.defined() ? bias.const_data_ptr<BFloat16>() : nullptr,
                                 accumulate, out.mutable_data_ptr<Out>(), out.stride(0)};
    const auto product = x.size(0) <= kDotRows ? by_dot_products<Out> : by_tiles<Out>;
    product(x.const_data_ptr<BFloat16>(), x.stride(0), x.size(0), matrix, epilogue, grain);
  });
}

}  // namespace luthier::cpu
