// fp32: plain loops, compiled once for AVX2 and once for AVX-512.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "luthier/ops/cpu/attention_kernels.h"

namespace luthier::cpu {
namespace {

#define LUTHIER_INLINE [[gnu::always_inline]] inline

constexpr int64_t kLanes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// 2^x for x <= 0, to 1e-7 relative: a minimax polynomial of the fraction on [-1/2, 1/2].
LUTHIER_INLINE float exp2_of(float x) {
  const bool vanishes = x < -126.0f;
  x = vanishes ? -126.0f : x;
  const float shifted = x + 12582912.0f;  // 1.5 * 2^23: the sum's low bits are the nearest integer
  const float fraction = x - (shifted - 12582912.0f);
  float y = 1.5345812e-4f;
  y = y * fraction + 1.3399931e-3f;
  y = y * fraction + 9.6184891e-3f;
  y = y * fraction + 5.5503286e-2f;
  y = y * fraction + 2.4022646e-1f;
  y = y * fraction + 6.9314718e-1f;
  y = y * fraction + 1.0f;
  const float power = std::bit_cast<float>((std::bit_cast<int32_t>(shifted) << 23) + (127 << 23));
  return vanishes ? 0.0f : y * power;
}

LUTHIER_INLINE bool is_visible(const ColumnMask& mask, int64_t key, int64_t column) {
  return (mask.limit == nullptr || mask.key + static_cast<int32_t>(key) < mask.limit[column]) &&
         (mask.floor == nullptr || mask.position + static_cast<int32_t>(key) > mask.floor[column]);
}

LUTHIER_INLINE void transpose(const float* source, int64_t rows, int64_t columns, int64_t source_stride, float* target,
                              int64_t stride) {
  const int64_t padded = (rows + kLanes - 1) / kLanes * kLanes;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) target[c * stride + r] = source[r * source_stride + c];
  for (int64_t c = 0; c < columns; ++c) std::fill(target + c * stride + rows, target + c * stride + padded, 0.0f);
}

LUTHIER_INLINE void transpose_from(const float* source, int64_t size, int64_t columns, int64_t stride,
                                   const float* factor, float* target) {
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t i = 0; i < size; ++i) target[c * size + i] = source[i * stride + c] * factor[c];
}

LUTHIER_INLINE bool softmax(const ScoreTile& tile, const float* scores, float scale, float* maximum, float* sum,
                            float* correction, float* probabilities) {
  bool grown = false;
  for (int64_t begin = 0; begin < tile.columns; begin += kLanes) {
    const int64_t columns = std::min(kLanes, tile.columns - begin);
    float largest[kLanes], total[kLanes];
    std::fill(largest, largest + kLanes, -kInfinity);
    std::fill(total, total + kLanes, 0.0f);
    for (int64_t j = 0; j < tile.keys; ++j) {
      const float* row = scores + j * tile.stride + begin;
      if (tile.masked) {
        for (int64_t c = 0; c < columns; ++c)
          if (is_visible(tile.mask, j, begin + c)) largest[c] = std::max(largest[c], row[c]);
      } else {
        for (int64_t c = 0; c < kLanes; ++c) largest[c] = row[c] > largest[c] ? row[c] : largest[c];
      }
    }
    for (int64_t c = 0; c < columns; ++c) {
      const float before = maximum[begin + c];
      const float now = std::max(before, largest[c] * scale);
      correction[begin + c] = now > before ? exp2_of(before - now) : 1.0f;
      grown |= now > before;
      maximum[begin + c] = now;
      largest[c] = now;
    }
    for (int64_t j = 0; j < tile.keys; ++j) {
      const float* row = scores + j * tile.stride + begin;
      float* p = probabilities + j * tile.stride + begin;
      for (int64_t c = 0; c < kLanes; ++c) {
        const float value = exp2_of(row[c] * scale - largest[c]);
        const bool visible = c < columns && (!tile.masked || is_visible(tile.mask, j, begin + c));
        p[c] = visible ? value : 0.0f;
        total[c] += p[c];
      }
    }
    for (int64_t j = tile.keys; j < tile.padded_keys; ++j)
      std::fill_n(probabilities + j * tile.stride + begin, kLanes, 0.0f);
    for (int64_t c = 0; c < columns; ++c) sum[begin + c] = sum[begin + c] * correction[begin + c] + total[c];
  }
  return grown;
}

LUTHIER_INLINE void backward(const ScoreTile& tile, const float* scores, const float* d_p, float scale,
                             float inverse_cap, const float* log_sum_exp, const float* delta, float* p, float* d_s) {
  for (int64_t j = 0; j < tile.padded_keys; ++j) {
    for (int64_t begin = 0; begin < tile.columns; begin += kLanes) {
      const int64_t at = j * tile.stride + begin;
      const int64_t columns = j < tile.keys ? std::min(kLanes, tile.columns - begin) : 0;
      for (int64_t c = 0; c < columns; ++c) {
        const float ratio = scores[at + c] * inverse_cap;
        const float value = exp2_of(scores[at + c] * scale - log_sum_exp[begin + c]);
        const bool visible = !tile.masked || is_visible(tile.mask, j, begin + c);
        p[at + c] = visible ? value : 0.0f;
        d_s[at + c] = visible ? value * (d_p[at + c] - delta[begin + c]) * (1.0f - ratio * ratio) : 0.0f;
      }
      for (int64_t c = columns; c < kLanes; ++c) p[at + c] = d_s[at + c] = 0.0f;
    }
  }
}

LUTHIER_INLINE void scale_columns(float* x, int64_t rows, int64_t columns, int64_t stride, const float* factor) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) x[r * stride + c] *= factor[c];
}

LUTHIER_INLINE void dot_rows(const float* a, const float* b, int64_t rows, int64_t columns, float* target) {
  for (int64_t r = 0; r < rows; ++r) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < columns; ++c) sum += a[r * columns + c] * b[r * columns + c];
    target[r] = sum;
  }
}

LUTHIER_INLINE void round(const float* source, int64_t count, float factor, float* target) {
  for (int64_t i = 0; i < count; ++i) target[i] = source[i] * factor;
}

void cap_scores(const ScoreTile& tile, float* scores, float scale, float cap) {
  for (int64_t j = 0; j < tile.keys; ++j)
    for (int64_t c = 0; c < tile.columns; ++c) {
      float& score = scores[j * tile.stride + c];
      score = cap * std::tanh(score * scale / cap);
    }
}

// The same loops under two targets.
#define LUTHIER_FLOAT_KERNELS(NAME, TARGET)                                                                            \
  struct NAME {                                                                                                        \
    TARGET static void transpose(const float* source, int64_t rows, int64_t columns, int64_t source_stride,            \
                                 float* target, int64_t stride) {                                                      \
      cpu::transpose(source, rows, columns, source_stride, target, stride);                                            \
    }                                                                                                                  \
    TARGET static void pair_rows(const float* source, int64_t rows, int64_t columns, float* target) {                  \
      std::copy(source, source + rows * columns, target);                                                              \
    }                                                                                                                  \
    TARGET static void transpose_from(const float* source, int64_t size, int64_t columns, int64_t stride,              \
                                      const float* factor, float* target) {                                            \
      cpu::transpose_from(source, size, columns, stride, factor, target);                                              \
    }                                                                                                                  \
    TARGET static bool softmax(const ScoreTile& tile, const float* scores, float scale, float* maximum, float* sum,    \
                               float* correction, float* probabilities) {                                              \
      return cpu::softmax(tile, scores, scale, maximum, sum, correction, probabilities);                               \
    }                                                                                                                  \
    TARGET static void backward(const ScoreTile& tile, const float* scores, const float* d_p, float scale,             \
                                float inverse_cap, const float* log_sum_exp, const float* delta, float* p, float* d_s, \
                                float*) {                                                                              \
      cpu::backward(tile, scores, d_p, scale, inverse_cap, log_sum_exp, delta, p, d_s);                                \
    }                                                                                                                  \
    TARGET static void scale_columns(float* x, int64_t rows, int64_t columns, int64_t stride, const float* factor) {   \
      cpu::scale_columns(x, rows, columns, stride, factor);                                                            \
    }                                                                                                                  \
    TARGET static void dot_rows(const float* a, const float* b, int64_t rows, int64_t columns, float* target) {        \
      cpu::dot_rows(a, b, rows, columns, target);                                                                      \
    }                                                                                                                  \
    TARGET static void round(const float* source, int64_t count, float factor, float* target) {                        \
      cpu::round(source, count, factor, target);                                                                       \
    }                                                                                                                  \
    static constexpr AttentionKernels<float> table{transpose, transpose, pair_rows,     transpose_from,                \
                                                   softmax,   backward,  scale_columns, nullptr,                       \
                                                   dot_rows,  round,     cap_scores};                                  \
  };

#if defined(__x86_64__)
LUTHIER_FLOAT_KERNELS(Avx2, __attribute__((target("avx2,fma"))))
LUTHIER_FLOAT_KERNELS(Avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512"))))
#else
LUTHIER_FLOAT_KERNELS(Avx2, )
using Avx512 = Avx2;
#endif

}  // namespace

const AttentionKernels<float>& float_kernels(InstructionSet set) {
  return set >= InstructionSet::avx512 ? Avx512::table : Avx2::table;
}

}  // namespace luthier::cpu
