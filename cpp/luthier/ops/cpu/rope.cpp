#include "luthier/ops/cpu/rope.h"

#include <ATen/Parallel.h>

#include "luthier/ops/cpu/arithmetic.h"
#include "luthier/ops/cpu/types.h"

namespace luthier::cpu {
namespace {

template <class T>
LUTHIER_INLINE void rotate_head(T* first, T* second, const float* cos, const float* sin, float direction,
                                int64_t half) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const float a = load(first + i), b = load(second + i), s = sin[i] * direction;
    store(first + i, a * cos[i] - b * s);
    store(second + i, b * cos[i] + a * s);
  }
}

}  // namespace

void rope(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin, double direction) {
  const int64_t heads = x.size(1), size = x.size(2), half = cos.size(1), stride = x.stride(0);
  const int64_t cos_stride = cos.stride(0), sin_stride = sin.stride(0);
  const int32_t* position = positions.const_data_ptr<int32_t>();
  const float *cosines = cos.const_data_ptr<float>(), *sines = sin.const_data_ptr<float>();
  with_type(x, [&]<class T>(T*) {
    T* rows = x.mutable_data_ptr<T>();
    at::parallel_for(0, x.size(0), row_grain(heads * size), [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = begin; t < end; ++t) {
          const float *c = cosines + position[t] * cos_stride, *s = sines + position[t] * sin_stride;
          for (int64_t head = 0; head < heads; ++head) {
            T* first = rows + t * stride + head * size;
            rotate_head(first, first + half, c, s, static_cast<float>(direction), half);
          }
        }
      });
    });
  });
}

}  // namespace luthier::cpu
