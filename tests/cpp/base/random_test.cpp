#include "luthier/base/random.h"

#include <gtest/gtest.h>

#include <vector>

namespace luthier {
namespace {

// The known-answer vectors of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, MatchesThePublishedVectors) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Random, GoesOnFromAPosition) {
  Random whole(7, 3);
  std::vector<uint32_t> numbers;
  for (int i = 0; i < 20; ++i) numbers.push_back(whole.bits());
  Random rest(7, 3, 11);
  for (int i = 11; i < 20; ++i) EXPECT_EQ(rest.bits(), numbers[i]);
}

TEST(Random, StaysBelowItsBoundAndReachesAllOfIt) {
  Random random(1, 0);
  std::vector<int> counts(7);
  for (int i = 0; i < 7000; ++i) ++counts.at(random.below(7));
  for (int count : counts) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace luthier
