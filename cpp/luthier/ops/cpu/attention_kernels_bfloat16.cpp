// bf16 on AVX512-BF16 (and on AMX, whose processors have it).
#include "luthier/base/error.h"
#include "luthier/ops/cpu/attention_kernels.h"
#include "luthier/ops/cpu/lanes_bfloat16.h"

#if defined(__x86_64__)
#include <algorithm>
#include <limits>

namespace luthier::cpu {
namespace {

using c10::BFloat16;

/// A 16 x 16 matrix of 32-bit words, transposed in place.
LUTHIER_INLINE void transpose_16(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/// Sixteen rows of 16 words from a matrix of words; what lies outside is zero.
LUTHIER_INLINE void load_16(const void* source, int64_t stride, int64_t rows, __mmask16 columns, __m512i (&r)[16]) {
  const auto* words = static_cast<const char*>(source);
  for (int i = 0; i < 16; ++i) {
    r[i] = i < rows ? _mm512_maskz_loadu_epi32(columns, words + i * stride) : _mm512_setzero_si512();
  }
}

LUTHIER_TARGET void transpose_to_pairs(const BFloat16* source, int64_t rows, int64_t columns, int64_t source_stride,
                                       BFloat16* target, int64_t stride) {
  const int64_t words = columns / 2;
  for (int64_t row = 0; row < rows; row += kLanes) {
    for (int64_t word = 0; word < words; word += kLanes) {
      __m512i r[16];
      load_16(source + row * source_stride + 2 * word, 2 * source_stride, rows - row, first_lanes(words - word), r);
      transpose_16(r);
      const int64_t count = std::min(kLanes, words - word);
      for (int64_t i = 0; i < count; ++i) _mm512_storeu_si512(target + 2 * ((word + i) * stride + row), r[i]);
    }
  }
}

/// The permutation 0, 2, 4, ... of two times 32 words, or 1, 3, 5, ... when `first` is 1.
LUTHIER_INLINE __m512i every_second(int16_t first) {
  alignas(64) int16_t order[32];
  for (int16_t i = 0; i < 32; ++i) order[i] = static_cast<int16_t>(2 * i + first);
  return _mm512_load_si512(order);
}

LUTHIER_TARGET void transpose(const BFloat16* source, int64_t rows, int64_t columns, int64_t source_stride,
                              BFloat16* target, int64_t stride) {
  const int64_t words = columns / 2;
  const __m512i even = every_second(0), odd = every_second(1);
  for (int64_t row = 0; row < rows; row += 2 * kLanes) {
    // The target has room up to a multiple of 16 rows.
    const __mmask32 stored = rows - row > kLanes ? 0xffffffffu : 0xffffu;
    for (int64_t word = 0; word < words; word += kLanes) {
      __m512i a[16], b[16];
      const __mmask16 lanes = first_lanes(words - word);
      const BFloat16* first = source + row * source_stride + 2 * word;
      load_16(first, 2 * source_stride, rows - row, lanes, a);
      load_16(first + kLanes * source_stride, 2 * source_stride, rows - row - kLanes, lanes, b);
      transpose_16(a);
      transpose_16(b);
      const int64_t count = std::min(kLanes, words - word);
      for (int64_t i = 0; i < count; ++i) {
        // A word holds columns 2i and 2i + 1 of a row.
        BFloat16* to = target + 2 * (word + i) * stride + row;
        _mm512_mask_storeu_epi16(to, stored, _mm512_permutex2var_epi16(a[i], even, b[i]));
        _mm512_mask_storeu_epi16(to + stride, stored, _mm512_permutex2var_epi16(a[i], odd, b[i]));
      }
    }
  }
}

LUTHIER_TARGET void pair_rows(const BFloat16* source, int64_t rows, int64_t columns, BFloat16* target) {
  for (int64_t row = 0; row < rows; row += 2) {
    const BFloat16* first = source + row * columns;
    const BFloat16* second = first + columns;
    BFloat16* pairs = target + row * columns;
    for (int64_t c = 0; c < columns; c += kLanes) {
      const __mmask16 lanes = first_lanes(columns - c);
      const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, first + c));
      const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, second + c));
      _mm512_mask_storeu_epi32(pairs + 2 * c, lanes, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
  }
}

LUTHIER_TARGET void transpose_from(const float* source, int64_t size, int64_t columns, int64_t stride,
                                   const float* factor, BFloat16* target) {
  for (int64_t column = 0; column < columns; column += kLanes) {
    const __mmask16 lanes = first_lanes(columns - column);
    const __m512 factors = _mm512_maskz_loadu_ps(lanes, factor + column);
    const int64_t count = std::min(kLanes, columns - column);
    for (int64_t i = 0; i < size; i += kLanes) {
      __m512i r[16];
      for (int64_t j = 0; j < kLanes; ++j) {
        r[j] = i + j < size
                   ? (__m512i)_mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, source + (i + j) * stride + column), factors)
                   : _mm512_setzero_si512();
      }
      transpose_16(r);
      const __mmask16 sizes = first_lanes(size - i);
      for (int64_t c = 0; c < count; ++c)
        _mm256_mask_storeu_epi16(target + (column + c) * size + i, sizes, (__m256i)_mm512_cvtneps_pbh((__m512)r[c]));
    }
  }
}

/// The condition of ColumnMask for 16 columns.
struct LaneMask {
  __m512i limit, floor;
  int32_t key, position;

  LUTHIER_INLINE LaneMask(const ColumnMask& mask, int64_t begin, __mmask16 lanes) {
    limit = mask.limit ? _mm512_maskz_loadu_epi32(lanes, mask.limit + begin)
                       : _mm512_set1_epi32(std::numeric_limits<int32_t>::max());
    floor = mask.floor ? _mm512_maskz_loadu_epi32(lanes, mask.floor + begin)
                       : _mm512_set1_epi32(std::numeric_limits<int32_t>::min());
    key = mask.limit ? mask.key : 0;
    position = mask.floor ? mask.position : 0;
  }
  LUTHIER_INLINE __mmask16 operator()(int64_t j) const {
    const auto i = static_cast<int32_t>(j);
    return _mm512_cmpgt_epi32_mask(limit, _mm512_set1_epi32(key + i)) &
           _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(position + i), floor);
  }
};

/// A maximum is moved only when a score is 2^8 above it: what was accumulated then seldom has to be scaled.
constexpr float kSlack = 8;

template <bool masked>
LUTHIER_TARGET bool softmax_columns(const ScoreTile& tile, const float* scores, float scale, float* maximum, float* sum,
                                    float* correction, BFloat16* probabilities) {
  const __m512 none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  const __m512 scales = _mm512_set1_ps(scale);
  const __m512i interleave = interleaving();
  bool any = false;
  for (int64_t begin = 0; begin < tile.columns; begin += kLanes) {
    const __mmask16 lanes = first_lanes(tile.columns - begin);
    const LaneMask visible(masked ? tile.mask : ColumnMask{}, begin, lanes);
    const float* s = scores + begin;
    __m512 largest = none, second = none;
    int64_t j = 0;
    if constexpr (masked) {
      for (; j < tile.keys; ++j) {
        const __m512 row = _mm512_loadu_ps(s + j * tile.stride);
        largest = _mm512_mask_max_ps(largest, visible(j), largest, row);
      }
    } else {
      for (; j + 1 < tile.keys; j += 2) {
        largest = _mm512_max_ps(largest, _mm512_loadu_ps(s + j * tile.stride));
        second = _mm512_max_ps(second, _mm512_loadu_ps(s + (j + 1) * tile.stride));
      }
      if (j < tile.keys) largest = _mm512_max_ps(largest, _mm512_loadu_ps(s + j * tile.stride));
    }
    largest = _mm512_mul_ps(_mm512_max_ps(largest, second), scales);
    const __m512 before = _mm512_mask_loadu_ps(none, lanes, maximum + begin);
    const __mmask16 grown =
        _mm512_mask_cmp_ps_mask(lanes, largest, _mm512_add_ps(before, _mm512_set1_ps(kSlack)), _CMP_GT_OQ);
    const __m512 now = _mm512_mask_mov_ps(before, grown, largest);
    const __mmask16 had = _mm512_cmp_ps_mask(before, none, _CMP_NEQ_UQ);
    __m512 factor = _mm512_set1_ps(1);
    if (grown != 0) {
      any = true;
      factor = _mm512_mask_mov_ps(factor, grown, _mm512_maskz_mov_ps(had, exp2_of(_mm512_sub_ps(before, now))));
      _mm512_mask_storeu_ps(maximum + begin, lanes, now);
    }
    _mm512_mask_storeu_ps(correction + begin, lanes, factor);

    __m512 total = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, sum + begin), factor);
    __m512 other = _mm512_setzero_ps();
    const auto probability = [&](int64_t key) LUTHIER_TARGET __attribute__((always_inline)) {
      const __m512 p = exp2_of(_mm512_fmsub_ps(_mm512_loadu_ps(s + key * tile.stride), scales, now));
      if constexpr (masked) return _mm512_maskz_mov_ps(visible(key) & lanes, p);
      return _mm512_maskz_mov_ps(lanes, p);
    };
    BFloat16* target = probabilities + 2 * begin;
    for (j = 0; j + 1 < tile.keys; j += 2) {
      const __m512 low = probability(j), high = probability(j + 1);
      total = _mm512_add_ps(total, low);
      other = _mm512_add_ps(other, high);
      _mm512_storeu_si512(target + j * tile.stride, pairs_of(low, high, interleave));
    }
    if (j < tile.keys) {
      const __m512 low = probability(j);
      total = _mm512_add_ps(total, low);
      _mm512_storeu_si512(target + j * tile.stride, pairs_of(low, _mm512_setzero_ps(), interleave));
      j += 2;
    }
    for (; j < tile.padded_keys; j += 2) _mm512_storeu_si512(target + j * tile.stride, _mm512_setzero_si512());
    _mm512_mask_storeu_ps(sum + begin, lanes, _mm512_add_ps(total, other));
  }
  return any;
}

LUTHIER_TARGET bool softmax(const ScoreTile& tile, const float* scores, float scale, float* maximum, float* sum,
                            float* correction, BFloat16* probabilities) {
  return tile.masked ? softmax_columns<true>(tile, scores, scale, maximum, sum, correction, probabilities)
                     : softmax_columns<false>(tile, scores, scale, maximum, sum, correction, probabilities);
}

template <bool masked, bool capped>
LUTHIER_TARGET void backward_columns(const ScoreTile& tile, const float* scores, const float* d_p, float scale,
                                     float inverse_cap, const float* log_sum_exp, const float* delta, BFloat16* p,
                                     BFloat16* d_s, BFloat16* d_s_pairs) {
  const __m512 scales = _mm512_set1_ps(scale), caps = _mm512_set1_ps(inverse_cap);
  const __m512i interleave = interleaving();
  for (int64_t begin = 0; begin < tile.columns; begin += 2 * kLanes) {
    const __mmask16 lanes[2] = {first_lanes(tile.columns - begin), first_lanes(tile.columns - begin - kLanes)};
    const LaneMask visible[2] = {{masked ? tile.mask : ColumnMask{}, begin, lanes[0]},
                                 {masked ? tile.mask : ColumnMask{}, begin + kLanes, lanes[1]}};
    __m512 sums[2], deltas[2];
    for (int h = 0; h < 2; ++h) {
      sums[h] = _mm512_maskz_loadu_ps(lanes[h], log_sum_exp + begin + h * kLanes);
      deltas[h] = _mm512_maskz_loadu_ps(lanes[h], delta + begin + h * kLanes);
    }
    for (int64_t j = 0; j < tile.keys; j += 2) {
      __m512 probability[2][2], gradient[2][2];  // [row][half]
      for (int row = 0; row < 2; ++row) {
        for (int h = 0; h < 2; ++h) {
          const int64_t at = (j + row) * tile.stride + begin + h * kLanes;
          __mmask16 shown = j + row < tile.keys ? lanes[h] : static_cast<__mmask16>(0);
          if constexpr (masked) shown &= visible[h](j + row);
          const __m512 score = _mm512_maskz_loadu_ps(shown, scores + at);
          const __m512 value = _mm512_maskz_mov_ps(shown, exp2_of(_mm512_fmsub_ps(score, scales, sums[h])));
          __m512 slope = _mm512_mul_ps(value, _mm512_sub_ps(_mm512_maskz_loadu_ps(shown, d_p + at), deltas[h]));
          if constexpr (capped) {
            const __m512 ratio = _mm512_mul_ps(score, caps);
            slope = _mm512_mul_ps(slope, _mm512_fnmadd_ps(ratio, ratio, _mm512_set1_ps(1)));
          }
          probability[row][h] = value;
          gradient[row][h] = slope;
        }
      }
      for (int row = 0; row < 2; ++row) {
        const int64_t at = (j + row) * tile.stride + begin;
        _mm512_storeu_si512(p + at, (__m512i)_mm512_cvtne2ps_pbh(probability[row][1], probability[row][0]));
        _mm512_storeu_si512(d_s + at, (__m512i)_mm512_cvtne2ps_pbh(gradient[row][1], gradient[row][0]));
      }
      for (int h = 0; h < 2; ++h) {
        _mm512_storeu_si512(d_s_pairs + j * tile.stride + 2 * (begin + h * kLanes),
                            pairs_of(gradient[0][h], gradient[1][h], interleave));
      }
    }
    for (int64_t j = (tile.keys + 1) / 2 * 2; j < tile.padded_keys; j += 2) {
      for (int row = 0; row < 2; ++row) {
        _mm512_storeu_si512(p + (j + row) * tile.stride + begin, _mm512_setzero_si512());
        _mm512_storeu_si512(d_s + (j + row) * tile.stride + begin, _mm512_setzero_si512());
        _mm512_storeu_si512(d_s_pairs + j * tile.stride + 2 * (begin + row * kLanes), _mm512_setzero_si512());
      }
    }
  }
}

LUTHIER_TARGET void backward(const ScoreTile& tile, const float* scores, const float* d_p, float scale,
                             float inverse_cap, const float* log_sum_exp, const float* delta, BFloat16* p,
                             BFloat16* d_s, BFloat16* d_s_pairs) {
  const auto run = tile.masked ? (inverse_cap > 0 ? backward_columns<true, true> : backward_columns<true, false>)
                               : (inverse_cap > 0 ? backward_columns<false, true> : backward_columns<false, false>);
  run(tile, scores, d_p, scale, inverse_cap, log_sum_exp, delta, p, d_s, d_s_pairs);
}

LUTHIER_TARGET void dot_rows(const BFloat16* a, const BFloat16* b, int64_t rows, int64_t columns, float* target) {
  for (int64_t r = 0; r < rows; ++r) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t c = 0; c < columns; c += 2 * kLanes) {
      const auto lanes =
          static_cast<__mmask32>(columns - c >= 2 * kLanes ? 0xffffffffu : (uint32_t{1} << (columns - c)) - 1);
      sum = _mm512_dpbf16_ps(sum, (__m512bh)_mm512_maskz_loadu_epi16(lanes, a + r * columns + c),
                             (__m512bh)_mm512_maskz_loadu_epi16(lanes, b + r * columns + c));
    }
    target[r] = _mm512_reduce_add_ps(sum);
  }
}

LUTHIER_TARGET void round(const float* source, int64_t count, float factor, BFloat16* target) {
  const __m512 factors = _mm512_set1_ps(factor);
  for (int64_t i = 0; i < count; i += kLanes) {
    const __mmask16 lanes = first_lanes(count - i);
    const __m512 product = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, source + i), factors);
    _mm256_mask_storeu_epi16(target + i, lanes, (__m256i)_mm512_cvtneps_pbh(product));
  }
}

}  // namespace

const AttentionKernels<BFloat16>& bfloat16_kernels() {
  const AttentionKernels<float>& plain = float_kernels(InstructionSet::avx512);
  static const AttentionKernels<BFloat16> table{
      transpose_to_pairs,   transpose, pair_rows, transpose_from, softmax, backward, plain.scale_columns,
      few_columns_bfloat16, dot_rows,  round,     plain.cap};
  return table;
}

}  // namespace luthier::cpu

#else

namespace luthier::cpu {

const AttentionKernels<c10::BFloat16>& bfloat16_kernels() { fail("[attention] bf16 tiles need an x86 processor"); }

}  // namespace luthier::cpu

#endif
