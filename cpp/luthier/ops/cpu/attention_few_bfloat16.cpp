// A few query rows against many keys, as in decoding: bf16 on AVX512-BF16.
#include "luthier/ops/cpu/attention_kernels.h"
#include "luthier/ops/cpu/lanes_bfloat16.h"

#if defined(__x86_64__)
#include <limits>

namespace luthier::cpu {
namespace {

using c10::BFloat16;

constexpr int64_t kFewKeys = 64;

template <int rows>
LUTHIER_TARGET void attend_few(const FewColumns<BFloat16>& tile, float scale, float* maximum, float* sum, float* out,
                               int64_t stride, bool first) {
  alignas(64) float p[rows][kFewKeys];
  for (int64_t key = 0; key < tile.key_count; ++key) {
    __m512 dots[rows];
    for (int r = 0; r < rows; ++r) dots[r] = _mm512_setzero_ps();
    const BFloat16* k = tile.keys + key * tile.key_stride;
    for (int64_t c = 0; c < tile.size; c += 2 * kLanes) {
      const __mmask32 words = first_words(tile.size - c);
      // Rows of a cache lie apart: what comes next is asked for early.
      _mm_prefetch(reinterpret_cast<const char*>(tile.values + key * tile.value_stride + c), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(k + 16 * tile.key_stride + c), _MM_HINT_T0);
      const auto part = (__m512bh)_mm512_maskz_loadu_epi16(words, k + c);
      for (int r = 0; r < rows; ++r) {
        const auto query = (__m512bh)_mm512_maskz_loadu_epi16(words, tile.queries + r * tile.size + c);
        dots[r] = _mm512_dpbf16_ps(dots[r], query, part);
      }
    }
    for (int r = 0; r < rows; ++r) p[r][key] = _mm512_reduce_add_ps(dots[r]);
  }
  float factor[rows];
  for (int r = 0; r < rows; ++r) {
    const __m512 none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    __m512 largest = none;
    for (int64_t key = 0; key < tile.key_count; key += kLanes)
      largest = _mm512_max_ps(largest, _mm512_mask_loadu_ps(none, first_lanes(tile.key_count - key), p[r] + key));
    const float before = maximum[r], now = std::max(before, _mm512_reduce_max_ps(largest) * scale);
    factor[r] = 0;
    if (before > -std::numeric_limits<float>::infinity())
      factor[r] = _mm512_cvtss_f32(exp2_of(_mm512_set1_ps(before - now)));
    maximum[r] = now;
    __m512 total = _mm512_setzero_ps();
    for (int64_t key = 0; key < tile.key_count; key += kLanes) {
      const __mmask16 lanes = first_lanes(tile.key_count - key);
      const __m512 scores = _mm512_maskz_loadu_ps(lanes, p[r] + key);
      const __m512 value = exp2_of(_mm512_fmsub_ps(scores, _mm512_set1_ps(scale), _mm512_set1_ps(now)));
      _mm512_mask_storeu_ps(p[r] + key, lanes, value);
      total = _mm512_mask_add_ps(total, lanes, total, value);
    }
    sum[r] = sum[r] * factor[r] + _mm512_reduce_add_ps(total);
  }
  const __m512i high = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000));
  for (int64_t c = 0; c < tile.size; c += 2 * kLanes) {
    const __mmask32 words = first_words(tile.size - c);
    __m512 even[rows], odd[rows];
    for (int r = 0; r < rows; ++r) even[r] = odd[r] = _mm512_setzero_ps();
    for (int64_t key = 0; key < tile.key_count; ++key) {
      const __m512i v = _mm512_maskz_loadu_epi16(words, tile.values + key * tile.value_stride + c);
      const auto low_half = (__m512)_mm512_slli_epi32(v, 16), high_half = (__m512)_mm512_and_si512(v, high);
      for (int r = 0; r < rows; ++r) {
        const __m512 weight = _mm512_set1_ps(p[r][key]);
        even[r] = _mm512_fmadd_ps(weight, low_half, even[r]);
        odd[r] = _mm512_fmadd_ps(weight, high_half, odd[r]);
      }
    }
    const int64_t pairs = std::min(kLanes, (tile.size - c) / 2);
    for (int r = 0; r < rows; ++r) {
      alignas(64) float columns[2][kLanes];
      _mm512_store_ps(columns[0], even[r]);
      _mm512_store_ps(columns[1], odd[r]);
      for (int64_t i = 0; i < 2 * pairs; ++i) {
        float& target = out[(c + i) * stride + r];
        target = (first ? 0 : target * factor[r]) + columns[i % 2][i / 2];
      }
    }
  }
}

}  // namespace

LUTHIER_TARGET void few_columns_bfloat16(const FewColumns<BFloat16>& tile, float scale, float* maximum, float* sum,
                                         float* out, int64_t stride, bool first) {
  static constexpr decltype(&attend_few<1>) by_rows[kMostFewColumns] = {attend_few<1>, attend_few<2>, attend_few<3>,
                                                                        attend_few<4>, attend_few<5>, attend_few<6>,
                                                                        attend_few<7>, attend_few<8>};
  by_rows[tile.columns - 1](tile, scale, maximum, sum, out, stride, first);
}

}  // namespace luthier::cpu

#endif
