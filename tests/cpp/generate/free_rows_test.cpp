#include "luthier/generate/free_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "luthier/base/error.h"
#include "luthier/base/random.h"

namespace luthier {
namespace {

TEST(FreeRows, TheFirstRunThatIsLongEnoughIsTaken) {
  FreeRows free(10);
  EXPECT_EQ(free.take(4), 0);
  EXPECT_EQ(free.take(3), 4);
  free.give_back(0, 4);
  EXPECT_EQ(free.take(5), std::nullopt) << "4 and 3 rows are free, but not side by side";
  EXPECT_EQ(free.take(3), 0);
  EXPECT_EQ(free.take(3), 7);
  EXPECT_EQ(free.count(), 1);
}

TEST(FreeRows, RunsThatMeetBecomeOne) {
  FreeRows free(9);
  for (int i = 0; i < 3; ++i) free.take(3);
  free.give_back(0, 3);
  free.give_back(6, 3);
  EXPECT_EQ(free.take(9), std::nullopt);
  free.give_back(3, 3);
  EXPECT_EQ(free.take(9), 0);
}

TEST(FreeRows, GivingBackWhatIsFreeIsAnError) {
  FreeRows free(6);
  free.take(4);
  EXPECT_THROW(free.give_back(2, 3), Error);
  EXPECT_THROW(free.give_back(5, 1), Error);
  free.give_back(1, 2);
  EXPECT_THROW(free.give_back(2, 1), Error);
  free.give_back(0, 0);
  EXPECT_THROW(free.take(0), Error);
}

TEST(FreeRows, NoRowIsGivenTwiceInAnyOrderOfCalls) {
  Random random(3, 0);
  const int32_t rows = 50;
  FreeRows free(rows);
  std::vector<bool> taken(rows);
  std::vector<std::pair<int32_t, int32_t>> held;
  for (int i = 0; i < 3000; ++i) {
    if (random.below(2) == 0 || held.empty()) {
      const auto count = static_cast<int32_t>(1 + random.below(9));
      const auto begin = free.take(count);
      if (!begin) continue;
      for (int32_t row = *begin; row < *begin + count; ++row) {
        ASSERT_FALSE(taken.at(row));
        taken[row] = true;
      }
      held.emplace_back(*begin, count);
    } else {
      const size_t which = random.below(static_cast<uint32_t>(held.size()));
      const auto [begin, count] = held[which];
      held.erase(held.begin() + static_cast<int64_t>(which));
      free.give_back(begin, count);
      for (int32_t row = begin; row < begin + count; ++row) taken[row] = false;
    }
    ASSERT_EQ(free.count(), std::count(taken.begin(), taken.end(), false));
  }
  for (const auto& [begin, count] : held) free.give_back(begin, count);
  EXPECT_EQ(free.take(rows), 0);
}

}  // namespace
}  // namespace luthier
