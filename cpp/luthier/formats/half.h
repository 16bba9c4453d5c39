// The 16-bit float types of files as float. Every 16-bit value is a float, so nothing is rounded.
#pragma once

#include <bit>
#include <cstdint>

namespace luthier {

/// IEEE 754 binary16. Integer arithmetic alone, so that flushing of subnormals to zero makes no difference.
inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7FFF;
  const uint32_t normal = (magnitude << 13) + (uint32_t{127 - 15} << 23);
  const uint32_t special = (magnitude << 13) | 0x7F800000;  // infinity and not-a-number
  const uint32_t subnormal = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t bits = magnitude >= 0x7C00 ? special : magnitude >= 0x0400 ? normal : subnormal;
  return std::bit_cast<float>(sign | bits);
}

/// bfloat16: the upper half of a float.
inline float bfloat16_to_float(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

}  // namespace luthier
