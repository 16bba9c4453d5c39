#include "luthier/formats/gguf_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "luthier/base/error.h"
#include "luthier/formats/half.h"

namespace luthier {
namespace {

// The value of a half by its definition in IEEE 754, in double.
double defined_half(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const double sign = half >> 15 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa ? std::nan("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(Half, IsRightForEveryValue) {
  for (int i = 0; i < 65536; ++i) {
    const float value = half_to_float(static_cast<uint16_t>(i));
    const double expected = defined_half(static_cast<uint16_t>(i));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value)) << i;
    } else {
      EXPECT_EQ(value, expected) << i;
      EXPECT_EQ(std::signbit(value), std::signbit(expected)) << i;
    }
  }
}

TEST(Bfloat16, IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(bfloat16_to_float(0x3F80), 1.0f);
  EXPECT_EQ(bfloat16_to_float(0xC0A0), -5.0f);
}

std::vector<float> dequantized(DType type, const std::vector<uint8_t>& bytes) {
  std::vector<float> values(bytes.size() / static_cast<size_t>(block_bytes(type)) *
                            static_cast<size_t>(block_elements(type)));
  dequantize(type, std::as_bytes(std::span(bytes)), values);
  return values;
}

constexpr uint8_t kOne[] = {0x00, 0x3C};   // 1.0 as a half
constexpr uint8_t kHalf[] = {0x00, 0x38};  // 0.5

TEST(Dequantize, ReadsQ4_0) {
  std::vector<uint8_t> block(18);
  std::memcpy(block.data(), kHalf, 2);
  block[2] = 0xF0;  // element 0: 0, element 16: 15
  const auto values = dequantized(DType::Q4_0, block);
  EXPECT_EQ(values[0], -4.0f);
  EXPECT_EQ(values[16], 3.5f);
  EXPECT_EQ(values[1], -4.0f);
}

TEST(Dequantize, ReadsQ5_1) {
  std::vector<uint8_t> block(24);
  std::memcpy(block.data(), kOne, 2);
  std::memcpy(block.data() + 2, kHalf, 2);
  block[4] = 0b10;        // the fifth bit of element 1
  block[7] = 0b10000000;  // and of element 31
  block[8 + 1] = 0x03;
  block[8 + 15] = 0x40;
  const auto values = dequantized(DType::Q5_1, block);
  EXPECT_EQ(values[0], 0.5f);
  EXPECT_EQ(values[1], 19.5f);
  EXPECT_EQ(values[31], 20.5f);
}

TEST(Dequantize, ReadsQ4_K) {
  std::vector<uint8_t> block(144);
  std::memcpy(block.data(), kOne, 2);
  std::memcpy(block.data() + 2, kHalf, 2);
  uint8_t* scales = block.data() + 4;
  scales[0] = 0b11'000011;  // scale 0 is 3; the upper bits of scale 4 are 3
  scales[4] = 0b10'000010;  // minimum 0 is 2; the upper bits of minimum 4 are 2
  scales[8] = 0b0001'0101;  // the lower bits of scale 4 are 5, of minimum 4 are 1
  block[16] = 0x07;         // element 0 of sub-block 0
  block[16 + 64] = 0x09;    // element 0 of sub-block 4
  const auto values = dequantized(DType::Q4_K, block);
  EXPECT_EQ(values[0], 3.0f * 7 - 0.5f * 2);
  EXPECT_EQ(values[128], (3 * 16 + 5.0f) * 9 - 0.5f * (2 * 16 + 1));
}

TEST(Dequantize, RoundsDoublesAndTakesUnalignedBytes) {
  std::vector<std::byte> bytes(1 + 2 * sizeof(double));
  const double in[] = {1.0 + 0x1p-30, -2.5};
  std::memcpy(bytes.data() + 1, in, sizeof(in));
  float out[2];
  dequantize(DType::F64, std::span(bytes).subspan(1), out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -2.5f);
}

TEST(Dequantize, RefusesWrongSizesAndTypes) {
  std::vector<std::byte> bytes(18);
  std::vector<float> values(32);
  EXPECT_THROW(dequantize(DType::Q4_0, bytes, std::span(values).first(31)), Error);
  EXPECT_THROW(dequantize(DType::Q4_0, std::span(bytes).first(17), values), Error);
  EXPECT_THROW(dequantize(DType::I8, bytes, std::span(values).first(18)), Error);
  TensorView tensor{"blk.0.weight", DType::IQ4_NL, {32}, bytes};
  EXPECT_THROW(dequantize(tensor, values), InputError);
  EXPECT_FALSE(can_dequantize(DType::IQ4_NL));
}

}  // namespace
}  // namespace luthier
