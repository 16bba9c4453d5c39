#include "luthier/ops/cpu/rms_norm.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <vector>

#include "luthier/ops/cpu/arithmetic.h"
#include "luthier/ops/cpu/types.h"

namespace luthier::cpu {
namespace {

template <class T>
LUTHIER_INLINE float norm_row(const T* x, const T* weight, float offset, int64_t columns, float epsilon, T* out) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < columns; ++i) sum += load(x + i) * load(x + i);
  const float rstd = 1 / std::sqrt(sum / static_cast<float>(columns) + epsilon);
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) store(out + i, load(x + i) * rstd * (load(weight + i) + offset));
  return rstd;
}

template <class T>
LUTHIER_INLINE void add_row(T* x, const T* delta, int64_t columns) {
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) store(x + i, load(x + i) + load(delta + i));
}

// With n = x rstd and g = d_out (weight + offset): d_x = rstd (g - n mean(g n)).
template <class T>
LUTHIER_INLINE void backward_row(const T* d_out, const T* x, const T* weight, float offset, float rstd, int64_t columns,
                                 T* d_x) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < columns; ++i) sum += load(d_out + i) * (load(weight + i) + offset) * load(x + i);
  const float projection = sum * rstd * rstd / static_cast<float>(columns);
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) {
    const float g = load(d_out + i) * (load(weight + i) + offset);
    store(d_x + i, load(d_x + i) + rstd * (g - load(x + i) * projection));
  }
}

template <class T>
LUTHIER_INLINE void add_weight_row(const T* d_out, const T* x, float rstd, int64_t columns, float* d_weight) {
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) d_weight[i] += load(d_out + i) * (load(x + i) * rstd);
}

// Rows whose weight gradients are summed before they are added to the others: the same for any number of threads.
constexpr int64_t kChunk = 64;

// How many vectors of a row have a norm of their own.
int64_t heads_of(const at::Tensor& x) { return x.dim() == 3 ? x.size(1) : 1; }

}  // namespace

void rms_norm_forward(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out, at::Tensor& rstd,
                      double offset) {
  const int64_t columns = x.size(-1), heads = heads_of(x);
  with_type(x, [&]<class T>(T*) {
    const T* source = x.const_data_ptr<T>();
    const T* scale = weight.const_data_ptr<T>();
    T* target = out.mutable_data_ptr<T>();
    float* norms = rstd.mutable_data_ptr<float>();
    const int64_t x_stride = x.stride(0), out_stride = out.stride(0);
    at::parallel_for(0, x.size(0), row_grain(heads * columns), [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = begin; t < end; ++t) {
          for (int64_t head = 0; head < heads; ++head) {
            norms[t * heads + head] =
                norm_row(source + t * x_stride + head * columns, scale, static_cast<float>(offset), columns,
                         static_cast<float>(epsilon), target + t * out_stride + head * columns);
          }
        }
      });
    });
  });
}

void add_rms_norm_forward(at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double epsilon,
                          at::Tensor& out, at::Tensor& rstd, double offset) {
  const int64_t columns = x.size(1);
  with_type(x, [&]<class T>(T*) {
    T* source = x.mutable_data_ptr<T>();
    const T* addend = delta.const_data_ptr<T>();
    const T* scale = weight.const_data_ptr<T>();
    T* target = out.mutable_data_ptr<T>();
    float* norms = rstd.mutable_data_ptr<float>();
    const int64_t x_stride = x.stride(0), delta_stride = delta.stride(0), out_stride = out.stride(0);
    at::parallel_for(0, x.size(0), row_grain(columns), [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = begin; t < end; ++t) {
          T* row = source + t * x_stride;
          add_row(row, addend + t * delta_stride, columns);
          norms[t] = norm_row<T>(row, scale, static_cast<float>(offset), columns, static_cast<float>(epsilon),
                                 target + t * out_stride);
        }
      });
    });
  });
}

void rms_norm_backward(const at::Tensor& d_out, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd,
                       at::Tensor& d_x, at::Tensor d_weight, double offset) {
  const int64_t rows = x.size(0), columns = x.size(-1), heads = heads_of(x), chunks = (rows + kChunk - 1) / kChunk;
  std::vector<float> partial(d_weight.defined() ? chunks * columns : 0);
  with_type(x, [&]<class T>(T*) {
    const T* gradient = d_out.const_data_ptr<T>();
    const T* source = x.const_data_ptr<T>();
    const T* scale = weight.const_data_ptr<T>();
    const float* norms = rstd.const_data_ptr<float>();
    T* target = d_x.mutable_data_ptr<T>();
    const int64_t gradient_stride = d_out.stride(0), x_stride = x.stride(0), target_stride = d_x.stride(0);
    at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = first * kChunk; t < std::min(rows, last * kChunk); ++t) {
          for (int64_t head = 0; head < heads; ++head) {
            const T* d_row = gradient + t * gradient_stride + head * columns;
            const T* row = source + t * x_stride + head * columns;
            const float norm = norms[t * heads + head];
            if (!partial.empty()) add_weight_row(d_row, row, norm, columns, &partial[t / kChunk * columns]);
            backward_row(d_row, row, scale, static_cast<float>(offset), norm, columns,
                         target + t * target_stride + head * columns);
          }
        }
      });
    });
  });
  if (!d_weight.defined()) return;
  float* sum = d_weight.mutable_data_ptr<float>();
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t i = 0; i < columns; ++i) sum[i] += partial[chunk * columns + i];
  }
}

}  // namespace luthier::cpu
