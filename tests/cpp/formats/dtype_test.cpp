#include "luthier/formats/dtype.h"

#include <gtest/gtest.h>

#include <vector>

namespace luthier {
namespace {

using Shape = std::vector<int64_t>;

TEST(ByteCount, IsThatOfWholeBlocks) {
  EXPECT_EQ(byte_count(DType::F32, Shape{2, 3}), 24);
  EXPECT_EQ(byte_count(DType::BF16, Shape{}), 2);
  EXPECT_EQ(byte_count(DType::Bool, Shape{0, 5}), 0);
  EXPECT_EQ(byte_count(DType::Q4_0, Shape{3, 64}), 3 * 2 * 18);
  EXPECT_EQ(byte_count(DType::Q6_K, Shape{2, 256}), 2 * 210);
}

TEST(ByteCount, RefusesImpossibleShapes) {
  EXPECT_FALSE(byte_count(DType::F32, Shape{2, -3}));
  EXPECT_FALSE(byte_count(DType::F32, Shape{int64_t{1} << 61, 2}));
  EXPECT_FALSE(byte_count(DType::U8, Shape{int64_t{1} << 62, 2}));
  EXPECT_FALSE(byte_count(DType::U8, Shape{int64_t{1} << 62, 0, 2}));
  EXPECT_FALSE(byte_count(DType::U8, Shape{0, -1}));
  EXPECT_FALSE(byte_count(DType::Q4_0, Shape{}));
  EXPECT_FALSE(byte_count(DType::Q4_0, Shape{32, 31}));
  EXPECT_FALSE(byte_count(DType::Q4_K, Shape{128}));
}

TEST(DType, IsFoundByTheNamesAndNumbersOfFiles) {
  EXPECT_EQ(dtype_from_safetensors("BF16"), DType::BF16);
  EXPECT_EQ(dtype_from_safetensors("BOOL"), DType::Bool);
  EXPECT_FALSE(dtype_from_safetensors("Q4_0"));
  EXPECT_FALSE(dtype_from_safetensors("F4"));
  EXPECT_EQ(dtype_from_gguf(30), DType::BF16);
  EXPECT_EQ(dtype_from_gguf(14), DType::Q6_K);
  EXPECT_FALSE(dtype_from_gguf(4));
  EXPECT_FALSE(dtype_from_gguf(0xFFFFFFFF));
}

}  // namespace
}  // namespace luthier
