#include "luthier/ops/cpu/linear.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "luthier/ops/cpu/arithmetic.h"
#include "luthier/ops/cpu/divide_up.h"
#include "luthier/ops/cpu/few_rows.h"
#include "luthier/ops/cpu/packed_product.h"
#include "luthier/ops/cpu/packed_weight_gradient.h"
#include "luthier/ops/cpu/thin_product.h"
#include "luthier/ops/cpu/types.h"
#include "luthier/ops/reference/linear.h"
#include "luthier/ops/row_product.h"

namespace luthier::cpu {
namespace {

using at::BFloat16;

constexpr int64_t kBiasColumns = 64, kBiasRows = 256;

/// Without bf16 instructions torch's bf16 products are scalar: widen, and use the fp32 product.
bool has_bf16_products(const at::Tensor& operand) {
  return operand.scalar_type() == at::kFloat || instruction_set() != InstructionSet::avx2;
}

template <class T>
LUTHIER_INLINE void add_columns(const T* source, int64_t stride, int64_t rows, int64_t columns, float* sum) {
  for (int64_t t = 0; t < rows; ++t) {
#pragma omp simd
    for (int64_t i = 0; i < columns; ++i) sum[i] += load(source + t * stride + i);
  }
}

}  // namespace

// By the number of rows: few_rows does not pack the weight, packed_product packs it for many, thin_product is for few
// columns. oneDNN and MKL have what is left: fp32, and bf16 in between or with an odd depth.
void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::Tensor& out,
                    bool accumulate) {
  if (few_rows_takes(x)) {
    few_rows_product(x, weight, /*scale=*/1, bias, accumulate, out);
  } else if (!has_bf16_products(x) || (bias.defined() && accumulate)) {
    reference::linear_forward(x, weight, bias, out, accumulate);
  } else if (thin_product_takes(x, weight.size(0)) && !bias.defined() && !accumulate) {
    thin_product(x, weight.t(), out);
  } else if (packed_product_takes(x)) {
    packed_product(x, weight.t(), bias, accumulate, out);
  } else {
    if (bias.defined()) out.copy_(bias.expand_as(out));
    row_product(out, x, weight.t(), accumulate || bias.defined());
  }
}

void linear_backward_input(const at::Tensor& d_out, const at::Tensor& weight, at::Tensor& d_x, bool accumulate) {
  if (!has_bf16_products(d_out)) {
    reference::linear_backward_input(d_out, weight, d_x, accumulate);
  } else if (thin_product_takes(d_out, weight.size(1)) && !accumulate) {
    thin_product(d_out, weight, d_x);
  } else if (packed_product_takes(d_out)) {
    packed_product(d_out, weight, {}, accumulate, d_x);
  } else {
    row_product(d_x, d_out, weight, accumulate);
  }
}

void linear_backward_weight(const at::Tensor& d_out, const at::Tensor& x, double scale, at::Tensor& d_weight) {
  if (d_out.scalar_type() == at::kFloat) {
    row_product(d_weight, d_out.t(), x, /*accumulate=*/true, scale);
    return;
  }
  if (!has_bf16_products(d_out)) {
    reference::linear_backward_weight(d_out, x, scale, d_weight);
    return;
  }
  packed_backward_weight(d_out, x, scale, d_weight);
}

// Threads share the columns; a thread adds blocks of rows, so that long sums stay accurate.
void linear_backward_bias(const at::Tensor& d_out, at::Tensor& d_bias) {
  const int64_t rows = d_out.size(0), columns = d_out.size(1), stride = d_out.stride(0);
  float* target = d_bias.mutable_data_ptr<float>();
  with_type(d_out, [&]<class T>(T*) {
    const T* source = d_out.const_data_ptr<T>();
    at::parallel_for(0, divide_up(columns, kBiasColumns), 4, [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t first = begin * kBiasColumns; first < std::min(columns, end * kBiasColumns);
             first += kBiasColumns) {
          const int64_t width = std::min(kBiasColumns, columns - first);
          for (int64_t t = 0; t < rows; t += kBiasRows) {
            float sum[kBiasColumns] = {};
            add_columns(source + t * stride + first, stride, std::min(kBiasRows, rows - t), width, sum);
            for (int64_t i = 0; i < width; ++i) target[first + i] += sum[i];
          }
        }
      });
    });
  });
}

}  // namespace luthier::cpu
