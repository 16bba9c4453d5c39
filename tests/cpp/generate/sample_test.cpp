#include "luthier/generate/sample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace luthier {
namespace {

TEST(Sample, TheMostProbableIsTheFirstOfEquals) {
  const std::vector<float> logits{1, 5, -2, 5};
  EXPECT_EQ(most_probable(logits), 1);
}

TEST(Sample, DrawsFollowTheSoftmax) {
  const std::vector<float> logits{0, 1, -1, 2, -30};
  for (const double temperature : {0.5, 1.0, 2.0}) {
    std::vector<double> probability(logits.size());
    double total = 0;
    for (size_t i = 0; i < logits.size(); ++i) total += probability[i] = std::exp(logits[i] / temperature);
    Random random(4, 2);
    std::vector<int> count(logits.size());
    const int draws = 40000;
    for (int i = 0; i < draws; ++i) ++count[draw(logits, temperature, random)];
    for (size_t i = 0; i < logits.size(); ++i) {
      const double p = probability[i] / total;
      EXPECT_NEAR(count[i], draws * p, 5 * std::sqrt(draws * p * (1 - p)) + 1) << temperature << " " << i;
    }
  }
}

TEST(Sample, ALowTemperatureIsGreedy) {
  const std::vector<float> logits{3, 3.5, -1};
  Random random(0, 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(draw(logits, 1e-3, random), 1);
}

TEST(Sample, WhatIsImpossibleIsNeverDrawn) {
  const float never = -std::numeric_limits<float>::infinity();
  const std::vector<float> logits{never, 0, never, 0, never};
  Random random(0, 0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(draw(logits, 1, random) % 2, 1);
}

TEST(Sample, EachDrawTakesOneNumberOfTheStream) {
  const std::vector<float> logits{0, 0, 0};
  Random random(0, 0);
  draw(logits, 1, random);
  EXPECT_EQ(random.position(), 1u);
}

}  // namespace
}  // namespace luthier
