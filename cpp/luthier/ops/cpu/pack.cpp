#include "luthier/ops/cpu/pack.h"

#include <algorithm>
#include <cstring>

#include "luthier/ops/cpu/vectorize.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif
// GCC has it from version 12 on.
#if defined(__x86_64__) && __has_builtin(__builtin_shufflevector)
#define LUTHIER_WIDE_TRANSPOSE
#endif

namespace luthier::cpu {

using c10::BFloat16;

namespace {

constexpr int64_t kLine = 64 / sizeof(BFloat16);
constexpr int64_t kAhead = 12;  // rows

const BFloat16 kZero(0, BFloat16::from_bits());

#if defined(__x86_64__)
__m128i read(const BFloat16* address) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(address)); }
void write(BFloat16* address, __m128i value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(address), value); }

/// Turns 8 rows of 8 numbers.
void transpose_8x8(const BFloat16* in, int64_t in_stride, BFloat16* out, int64_t out_stride) {
  __m128i a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = read(in + i * in_stride);
  for (int i = 0; i < 4; ++i) {
    b[2 * i] = _mm_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
    b[2 * i + 1] = _mm_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
  }
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 2; ++i) {
      a[4 * half + 2 * i] = _mm_unpacklo_epi32(b[4 * half + i], b[4 * half + 2 + i]);
      a[4 * half + 2 * i + 1] = _mm_unpackhi_epi32(b[4 * half + i], b[4 * half + 2 + i]);
    }
  }
  for (int i = 0; i < 4; ++i) {
    write(out + (2 * i) * out_stride, _mm_unpacklo_epi64(a[i], a[4 + i]));
    write(out + (2 * i + 1) * out_stride, _mm_unpackhi_epi64(a[i], a[4 + i]));
  }
}

/// Turns 4 rows of 4 pairs of numbers.
void transpose_pairs_4x4(const BFloat16* in, int64_t in_stride, BFloat16* out, int64_t out_stride) {
  const __m128i a = read(in), b = read(in + in_stride), c = read(in + 2 * in_stride), d = read(in + 3 * in_stride);
  const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
  const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
  write(out, _mm_unpacklo_epi64(ab_low, cd_low));
  write(out + out_stride, _mm_unpackhi_epi64(ab_low, cd_low));
  write(out + 2 * out_stride, _mm_unpacklo_epi64(ab_high, cd_high));
  write(out + 3 * out_stride, _mm_unpackhi_epi64(ab_high, cd_high));
}
#endif

#if defined(LUTHIER_WIDE_TRANSPOSE)
/// Turns 16 rows of 16 pairs of numbers.
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void transpose_pairs_16x16(const BFloat16* in,
                                                                                             int64_t in_stride,
                                                                                             BFloat16* out,
                                                                                             int64_t out_stride) {
  using Pairs = uint32_t __attribute__((vector_size(64)));
  Pairs a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) std::memcpy(&a[i], in + i * in_stride, sizeof(Pairs));
  // Each round joins neighbours and doubles the run of pairs that stand together: of 2 rows, 4, 8, 16.
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    b[2 * i] =
        __builtin_shufflevector(a[2 * i], a[2 * i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    b[2 * i + 1] =
        __builtin_shufflevector(a[2 * i], a[2 * i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const Pairs low = b[4 * i + j], high = b[4 * i + 2 + j];
      a[4 * i + 2 * j] = __builtin_shufflevector(low, high, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      a[4 * i + 2 * j + 1] =
          __builtin_shufflevector(low, high, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const Pairs low = a[8 * i + j], high = a[8 * i + 4 + j];
      b[8 * i + j] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
      b[8 * i + 4 + j] = __builtin_shufflevector(low, high, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) {
    const Pairs low = b[j], high = b[8 + j];
    const Pairs left = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    const Pairs right =
        __builtin_shufflevector(low, high, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    std::memcpy(out + j * out_stride, &left, sizeof(Pairs));
    std::memcpy(out + (8 + j) * out_stride, &right, sizeof(Pairs));
  }
}
#endif

/// The numbers of two rows in turn.
LUTHIER_INLINE void interleave(const BFloat16* first, const BFloat16* second, int64_t columns, BFloat16* out) {
#pragma omp simd
  for (int64_t n = 0; n < columns; ++n) {
    const uint32_t pair = static_cast<uint32_t>(first[n].x) | static_cast<uint32_t>(second[n].x) << 16;
    std::memcpy(out + 2 * n, &pair, sizeof(pair));
  }
}

}  // namespace

void copy_rows(const BFloat16* in, int64_t in_stride, int64_t rows, int64_t columns, int64_t padded_rows,
               BFloat16* out) {
  for (int64_t m = 0; m < rows; ++m) std::copy_n(in + m * in_stride, columns, out + m * columns);
  std::fill(out + rows * columns, out + padded_rows * columns, kZero);
}

void pack_rows(const BFloat16* in, int64_t in_stride, int64_t rows, int64_t columns, int64_t padded_rows, BFloat16* out,
               int64_t out_columns) {
  vectorized([&]() LUTHIER_INLINE_LAMBDA {
    for (int64_t k = 0; k + 1 < rows; k += 2) {
      // Short pieces of long rows are what the hardware does not foresee.
      for (int64_t ahead = k + kAhead; ahead < std::min(rows, k + kAhead + 2); ++ahead) {
        for (int64_t n = 0; n < columns; n += kLine) __builtin_prefetch(in + ahead * in_stride + n);
      }
      interleave(in + k * in_stride, in + (k + 1) * in_stride, columns, out + k * out_columns);
    }
  });
  if (rows % 2 == 1) {
    const BFloat16* last = in + (rows - 1) * in_stride;
    BFloat16* target = out + (rows - 1) * out_columns;
    for (int64_t n = 0; n < columns; ++n) target[2 * n] = last[n], target[2 * n + 1] = kZero;
  }
  const int64_t packed = rows + rows % 2;
  std::fill(out + packed * out_columns, out + padded_rows * out_columns, kZero);
}

void pack_columns(const BFloat16* in, int64_t in_stride, int64_t rows, int64_t columns, BFloat16* out,
                  int64_t out_columns) {
  const int64_t pair_stride = 2 * out_columns;
  int64_t n = 0;
#if defined(LUTHIER_WIDE_TRANSPOSE)
  for (; instruction_set() >= InstructionSet::avx512 && n + 16 <= rows; n += 16) {
    int64_t k = 0;
    for (; k + 32 <= columns; k += 32) {
      transpose_pairs_16x16(in + n * in_stride + k, in_stride, out + k / 2 * pair_stride + 2 * n, pair_stride);
    }
    for (; k < columns; k += 2) {
      for (int64_t i = n; i < n + 16; ++i) {
        std::memcpy(out + k / 2 * pair_stride + 2 * i, in + i * in_stride + k, 2 * sizeof(BFloat16));
      }
    }
  }
#endif
#if defined(__x86_64__)
  for (; n + 4 <= rows; n += 4) {
    int64_t k = 0;
    for (; k + 8 <= columns; k += 8) {
      transpose_pairs_4x4(in + n * in_stride + k, in_stride, out + k / 2 * pair_stride + 2 * n, pair_stride);
    }
    for (; k < columns; k += 2) {
      for (int64_t i = n; i < n + 4; ++i) {
        out[k / 2 * pair_stride + 2 * i] = in[i * in_stride + k];
        out[k / 2 * pair_stride + 2 * i + 1] = in[i * in_stride + k + 1];
      }
    }
  }
#endif
  for (; n < rows; ++n) {
    for (int64_t k = 0; k < columns; k += 2) {
      out[k / 2 * pair_stride + 2 * n] = in[n * in_stride + k];
      out[k / 2 * pair_stride + 2 * n + 1] = in[n * in_stride + k + 1];
    }
  }
  for (int64_t k = 0; k < columns && n < out_columns; k += 2) {
    std::fill(out + k / 2 * pair_stride + 2 * n, out + (k / 2 + 1) * pair_stride, kZero);
  }
}

void transpose(const BFloat16* in, int64_t in_stride, int64_t rows, int64_t columns, int64_t padded_rows, BFloat16* out,
               int64_t out_stride) {
  int64_t n = 0;
#if defined(__x86_64__)
  for (; n + 8 <= columns; n += 8) {
    int64_t k = 0;
    for (; k + 8 <= rows; k += 8)
      transpose_8x8(in + k * in_stride + n, in_stride, out + n * out_stride + k, out_stride);
    for (; k < rows; ++k) {
      for (int64_t i = n; i < n + 8; ++i) out[i * out_stride + k] = in[k * in_stride + i];
    }
  }
#endif
  for (; n < columns; ++n) {
    for (int64_t k = 0; k < rows; ++k) out[n * out_stride + k] = in[k * in_stride + n];
  }
  for (n = 0; n < columns && rows < padded_rows; ++n) {
    std::fill(out + n * out_stride + rows, out + n * out_stride + padded_rows, kZero);
  }
}

void transpose(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride) {
  int64_t n = 0;
#if defined(__x86_64__)
  for (; n + 4 <= columns; n += 4) {
    int64_t k = 0;
    for (; k + 4 <= rows; k += 4) {
      const float* source = in + k * in_stride + n;
      float* target = out + n * out_stride + k;
      __m128 a = _mm_loadu_ps(source), b = _mm_loadu_ps(source + in_stride);
      __m128 c = _mm_loadu_ps(source + 2 * in_stride), d = _mm_loadu_ps(source + 3 * in_stride);
      _MM_TRANSPOSE4_PS(a, b, c, d);
      _mm_storeu_ps(target, a);
      _mm_storeu_ps(target + out_stride, b);
      _mm_storeu_ps(target + 2 * out_stride, c);
      _mm_storeu_ps(target + 3 * out_stride, d);
    }
    for (; k < rows; ++k) {
      for (int64_t i = n; i < n + 4; ++i) out[i * out_stride + k] = in[k * in_stride + i];
    }
  }
#endif
  for (; n < columns; ++n) {
    for (int64_t k = 0; k < rows; ++k) out[n * out_stride + k] = in[k * in_stride + n];
  }
}

}  // namespace luthier::cpu
