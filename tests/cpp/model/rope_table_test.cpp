#include "luthier/model/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

namespace luthier {
namespace {

// Compares with cos and sin of position * frequency(pair), computed in double.
void expect_frequencies(const DecoderConfig& config, const std::function<double(int64_t)>& frequency) {
  constexpr int64_t kPositions = 300;
  const RopeTable table = make_rope_table(config, kPositions);
  ASSERT_EQ(table.cos.sizes(), (at::IntArrayRef{kPositions, config.head_size / 2}));
  for (int64_t p = 0; p < kPositions; p += 13) {
    for (int64_t i = 0; i < config.head_size / 2; ++i) {
      const double angle = static_cast<double>(p) * frequency(i);
      EXPECT_NEAR(table.cos[p][i].item<float>(), std::cos(angle), 1e-4) << p << " " << i;
      EXPECT_NEAR(table.sin[p][i].item<float>(), std::sin(angle), 1e-4) << p << " " << i;
    }
  }
}

DecoderConfig config_of(int64_t head_size, double base) {
  DecoderConfig config;
  config.head_size = head_size;
  config.rope_base = base;
  return config;
}

TEST(RopeTable, AnglesFallByAPowerOfTheBase) {
  const DecoderConfig config = config_of(10, 5000);
  expect_frequencies(config, [](int64_t i) { return std::pow(5000.0, -static_cast<double>(2 * i) / 10); });
}

TEST(RopeTable, LinearScalingStretchesThePositions) {
  DecoderConfig config = config_of(8, 10000);
  config.rope_scaling.kind = RopeScaling::Kind::linear;
  config.rope_scaling.factor = 4;
  expect_frequencies(config, [](int64_t i) { return std::pow(10000.0, -static_cast<double>(2 * i) / 8) / 4; });
}

TEST(RopeTable, Llama3ScalingLeavesShortWavesAndStretchesLongOnes) {
  DecoderConfig config = config_of(64, 500000);
  config.rope_scaling = {RopeScaling::Kind::llama3, 32, 1, 4, 8192};
  const auto plain = [](int64_t i) { return std::pow(500000.0, -static_cast<double>(2 * i) / 64); };
  int64_t kept = 0, stretched = 0, between = 0;
  expect_frequencies(config, [&](int64_t i) {
    const double wavelength = 2 * std::numbers::pi / plain(i);
    if (wavelength < 8192 / 4.0) return ++kept, plain(i);
    if (wavelength > 8192) return ++stretched, plain(i) / 32;
    const double smooth = (8192 / wavelength - 1) / 3;
    return ++between, (1 - smooth) * plain(i) / 32 + smooth * plain(i);
  });
  EXPECT_GT(kept, 0);
  EXPECT_GT(stretched, 0);
  EXPECT_GT(between, 0);
}

}  // namespace
}  // namespace luthier
