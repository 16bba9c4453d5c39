#include "luthier/model/rope_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

namespace luthier {
namespace {

// Compares with cos and sin of position * frequency(pair), computed in double.
void expect_frequencies(const RopeSettings& settings, int64_t head_size, int64_t pairs,
                        const std::function<double(int64_t)>& frequency) {
  constexpr int64_t kPositions = 300;
  const RopeTable table = make_rope_table(settings, head_size, kPositions);
  ASSERT_EQ(table.cos.sizes(), (at::IntArrayRef{kPositions, pairs}));
  for (int64_t p = 0; p < kPositions; p += 13) {
    for (int64_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(p) * frequency(i), amplitude = settings.scaling.amplitude;
      EXPECT_NEAR(table.cos[p][i].item<float>(), amplitude * std::cos(angle), 1e-4) << p << " " << i;
      EXPECT_NEAR(table.sin[p][i].item<float>(), amplitude * std::sin(angle), 1e-4) << p << " " << i;
    }
  }
}

RopeSettings settings_of(double base) {
  RopeSettings settings;
  settings.base = base;
  return settings;
}

TEST(RopeTable, AnglesFallByAPowerOfTheBase) {
  expect_frequencies(settings_of(5000), 10, 5,
                     [](int64_t i) { return std::pow(5000.0, -static_cast<double>(2 * i) / 10); });
}

TEST(RopeTable, APartOfAHeadHasItsOwnFrequencies) {
  RopeSettings settings = settings_of(5000);
  settings.dimensions = 6;
  expect_frequencies(settings, 10, 3, [](int64_t i) { return std::pow(5000.0, -static_cast<double>(2 * i) / 6); });
}

TEST(RopeTable, LinearScalingStretchesThePositions) {
  RopeSettings settings = settings_of(10000);
  settings.scaling.kind = RopeScaling::Kind::linear;
  settings.scaling.factor = 4;
  expect_frequencies(settings, 8, 4, [](int64_t i) { return std::pow(10000.0, -static_cast<double>(2 * i) / 8) / 4; });
}

TEST(RopeTable, DivisorsAndAmplitudeAreThoseOfThePairs) {
  RopeSettings settings = settings_of(10000);
  settings.scaling.kind = RopeScaling::Kind::divided;
  settings.scaling.divisors = {1, 1.5, 4};
  settings.scaling.amplitude = 1.2;
  expect_frequencies(settings, 6, 3, [&](int64_t i) {
    return std::pow(10000.0, -static_cast<double>(2 * i) / 6) / settings.scaling.divisors[static_cast<size_t>(i)];
  });
}

TEST(RopeTable, YarnLeavesPairsThatTurnOftenAndStretchesThoseThatDoNot) {
  RopeSettings settings = settings_of(10000);
  settings.scaling.kind = RopeScaling::Kind::yarn;
  settings.scaling.factor = 4;
  settings.scaling.original_positions = 512;
  const auto plain = [](int64_t i) { return std::pow(10000.0, -static_cast<double>(2 * i) / 64); };
  // Turns over the original positions: 512 / (2 pi) = 81 of the first pair; 32 at pair 3.2, one at pair 15.3.
  expect_frequencies(settings, 64, 32, [&](int64_t i) {
    const double ramp = std::clamp(static_cast<double>(i - 3) / (16 - 3), 0.0, 1.0);
    return plain(i) / 4 * ramp + plain(i) * (1 - ramp);
  });
}

TEST(RopeTable, Llama3ScalingLeavesShortWavesAndStretchesLongOnes) {
  RopeSettings settings = settings_of(500000);
  settings.scaling.kind = RopeScaling::Kind::llama3;
  settings.scaling.factor = 32;
  const auto plain = [](int64_t i) { return std::pow(500000.0, -static_cast<double>(2 * i) / 64); };
  int64_t kept = 0, stretched = 0, between = 0;
  expect_frequencies(settings, 64, 32, [&](int64_t i) {
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
