// Numbers of the vectorised loops: bf16 to fp32 and back, the exponential function.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "luthier/ops/cpu/vectorize.h"

namespace luthier::cpu {

LUTHIER_INLINE float load(const float* address) { return *address; }

LUTHIER_INLINE float load(const c10::BFloat16* address) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(address->x) << 16);
}

LUTHIER_INLINE void store(float* address, float value) { *address = value; }

/// Rounds to nearest, ties to even; what is not a number stays so.
LUTHIER_INLINE void store(c10::BFloat16* address, float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  address->x = static_cast<uint16_t>(value == value ? rounded : 0x7fc0);
}

/// exp(x) with a relative error below 2e-7 for x in [-87.3, 88.3]; beyond, its value at the nearer end.
/// The argument is reduced by multiples of log 2 in two parts, and the rest goes through the polynomial of the Cephes
/// library (Moshier, "Methods and Programs for Mathematical Functions", 1989; expf).
LUTHIER_INLINE float exponential(float x) {
  x = x > 88.3f ? 88.3f : x;
  x = x < -87.3f ? -87.3f : x;
  constexpr float kRound = 12582912;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const float shifted = x * 1.44269504088896341f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1;
  const uint32_t power = (__builtin_bit_cast(uint32_t, shifted) + 127) << 23;
  return p * __builtin_bit_cast(float, power);
}

}  // namespace luthier::cpu
