#include "luthier/ops/cpu/embedding.h"

#include <ATen/Parallel.h>

#include <cstring>

#include "luthier/ops/cpu/arithmetic.h"
#include "luthier/ops/cpu/types.h"

namespace luthier::cpu {
namespace {

template <class T>
LUTHIER_INLINE void scale_row(const T* source, float scale, int64_t columns, T* target) {
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) store(target + i, load(source + i) * scale);
}

template <class T>
LUTHIER_INLINE void add_row(const T* source, float scale, int64_t columns, float* target) {
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) target[i] += load(source + i) * scale;
}

}  // namespace

void embedding_forward(const at::Tensor& tokens, const at::Tensor& table, double scale, at::Tensor& out) {
  const int64_t columns = out.size(1), table_stride = table.stride(0), out_stride = out.stride(0);
  const int32_t* token = tokens.const_data_ptr<int32_t>();
  with_type(out, [&]<class T>(T*) {
    const T* source = table.const_data_ptr<T>();
    T* target = out.mutable_data_ptr<T>();
    at::parallel_for(0, out.size(0), row_grain(columns), [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = begin; t < end; ++t) {
          const T* row = source + token[t] * table_stride;
          if (scale == 1) {
            std::memcpy(target + t * out_stride, row, columns * sizeof(T));
          } else {
            scale_row(row, static_cast<float>(scale), columns, target + t * out_stride);
          }
        }
      });
    });
  });
}

// Threads share the columns, so that a token's rows are added in the order of t.
void embedding_backward(const at::Tensor& tokens, const at::Tensor& d_out, double scale, at::Tensor& d_table,
                        int64_t first) {
  const int64_t rows = d_out.size(0), source_stride = d_out.stride(0), table_stride = d_table.stride(0);
  const int64_t held = d_table.size(0);
  const int32_t* token = tokens.const_data_ptr<int32_t>();
  float* target = d_table.mutable_data_ptr<float>();
  with_type(d_out, [&]<class T>(T*) {
    const T* source = d_out.const_data_ptr<T>();
    at::parallel_for(0, d_out.size(1), 64, [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = 0; t < rows; ++t) {
          const int64_t row = token[t] - first;
          if (row < 0 || row >= held) continue;
          add_row(source + t * source_stride + begin, static_cast<float>(scale), end - begin,
                  target + row * table_stride + begin);
        }
      });
    });
  });
}

}  // namespace luthier::cpu
