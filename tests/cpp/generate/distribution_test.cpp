#include "luthier/generate/distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace luthier {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

TEST(Distribution, LogProbabilitiesSumToOne) {
  const std::vector<float> logits{80, 79.5, -3, 81, 0};
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - log_sum_exp(logits));
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(Distribution, TheMostProbableFallAndEqualsRise) {
  const std::vector<float> logits{1, 5, -2, 5, 3};
  EXPECT_EQ(most_probable_of(logits, 0), std::vector<int32_t>());
  EXPECT_EQ(most_probable_of(logits, 3), (std::vector<int32_t>{1, 3, 4}));
  EXPECT_EQ(most_probable_of(logits, 9), (std::vector<int32_t>{1, 3, 4, 0, 2}));
}

TEST(Distribution, TheNucleusIsTheFewestTokensOfThatProbability) {
  const std::vector<double> probability{0.1, 0.4, 0.2, 0.3};
  std::vector<float> logits(4);
  const auto reset = [&] {
    for (size_t i = 0; i < 4; ++i) logits[i] = static_cast<float>(std::log(probability[i]));
  };
  const auto kept = [&] {
    std::vector<int> tokens;
    for (int i = 0; i < 4; ++i)
      if (logits[i] > kNever) tokens.push_back(i);
    return tokens;
  };
  reset();
  keep_nucleus(logits, 1, 0.39);
  EXPECT_EQ(kept(), (std::vector<int>{1}));
  reset();
  keep_nucleus(logits, 1, 0.69);
  EXPECT_EQ(kept(), (std::vector<int>{1, 3}));
  reset();
  keep_nucleus(logits, 1, 0.95);
  EXPECT_EQ(kept(), (std::vector<int>{0, 1, 2, 3}));
  reset();
  keep_nucleus(logits, 0.25, 0.69);
  EXPECT_EQ(kept(), (std::vector<int>{1})) << "a low temperature gathers the probability";
  reset();
  keep_nucleus(logits, 1, 1e-9);
  EXPECT_EQ(kept(), (std::vector<int>{1})) << "one is kept in any case";
}

TEST(Distribution, OnlyTokensWithTheirBitAreKept) {
  std::vector<float> logits(70, 1);
  EXPECT_TRUE(keep_allowed(logits, std::vector<int32_t>{1, static_cast<int32_t>(0x80000000u), 1 << 5}));
  for (int token = 0; token < 70; ++token)
    EXPECT_EQ(logits[token] > kNever, token == 0 || token == 63 || token == 69) << token;
  EXPECT_FALSE(keep_allowed(logits, std::vector<int32_t>{0, 0, 0}));
  EXPECT_FALSE(keep_allowed(logits, std::vector<int32_t>{}));
}

}  // namespace
}  // namespace luthier
