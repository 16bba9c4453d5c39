// Sixteen fp32 numbers, or their bf16 halves, in a register of AVX512-BF16: what the attention's kernels share. For
// their source files alone.
#pragma once

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined source operands inside its own intrinsics for mistakes.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#define LUTHIER_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))
#define LUTHIER_INLINE LUTHIER_TARGET __attribute__((always_inline)) inline

namespace luthier::cpu {

inline constexpr int64_t kLanes = 16;

/// The first `count` of 16 lanes; none when it is negative.
LUTHIER_INLINE __mmask16 first_lanes(int64_t count) {
  return count >= kLanes ? static_cast<__mmask16>(0xffff)
                         : static_cast<__mmask16>((1u << std::max<int64_t>(count, 0)) - 1);
}

/// 2^x to 3e-6 relative: a minimax polynomial of the fraction on [-1/2, 1/2].
LUTHIER_INLINE __m512 exp2_of(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 fraction = _mm512_sub_ps(x, whole);
  __m512 y = _mm512_set1_ps(9.5701013e-3f);
  y = _mm512_fmadd_ps(y, fraction, _mm512_set1_ps(5.5917859e-2f));
  y = _mm512_fmadd_ps(y, fraction, _mm512_set1_ps(2.4024744e-1f));
  y = _mm512_fmadd_ps(y, fraction, _mm512_set1_ps(6.9312179e-1f));
  y = _mm512_fmadd_ps(y, fraction, _mm512_set1_ps(9.9999928e-1f));
  return _mm512_scalef_ps(y, whole);
}

/// Two rows of 16 fp32 as 16 pairs of bf16.
LUTHIER_INLINE __m512i pairs_of(__m512 low, __m512 high, __m512i interleave) {
  return _mm512_permutexvar_epi16(interleave, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/// The permutation 0, 16, 1, 17, ... of 32 words.
LUTHIER_INLINE __m512i interleaving() {
  alignas(64) int16_t order[32];
  for (int16_t i = 0; i < 16; ++i) {
    order[2 * i] = i;
    order[2 * i + 1] = static_cast<int16_t>(i + 16);
  }
  return _mm512_load_si512(order);
}

/// The first `count` of 32 words.
LUTHIER_INLINE __mmask32 first_words(int64_t count) {
  return count >= 2 * kLanes ? 0xffffffffu : (uint32_t{1} << count) - 1;
}

}  // namespace luthier::cpu

#endif
