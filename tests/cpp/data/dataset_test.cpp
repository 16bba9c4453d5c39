#include "luthier/data/dataset.h"

#include <gtest/gtest.h>

#include <cmath>

#include "luthier/base/error.h"

namespace luthier {
namespace {

TEST(Dataset, LongRowsAreCutAndTheLedgerSaysSo) {
  Dataset data(4);
  EXPECT_EQ(data.add({7, {1, 2, 3, 4, 5, 6}, {0, 0, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 1}}), "");
  const LedgerEntry& entry = data.ledger()[0];
  EXPECT_EQ(entry.row, 7);
  EXPECT_EQ(entry.tokens, 4);
  EXPECT_EQ(entry.tokens_cut, 2);
  EXPECT_EQ(entry.supervised_tokens, 2);
  EXPECT_FALSE(entry.end_supervised) << "the end token was cut";
  EXPECT_EQ(data.example(0).tokens.size(), 4u);
}

TEST(Dataset, RowsThatCannotBeTrainedOnStayInTheLedger) {
  Dataset data(3);
  EXPECT_EQ(data.add({0, {}, {}, {}}), "empty");
  EXPECT_EQ(data.add({1, {1, 2}, {1, 0}, {0, 1}}), "no supervised token") << "nothing predicts the first token";
  EXPECT_EQ(data.add({2, {1, 2, 3, 4}, {0, 0, 0, 1}, {0, 0, 0, 1}}),
            "no supervised token left after truncation to 3 tokens");
  EXPECT_EQ(data.add({3, {1, 2}, {0, 1}, {0, 1}}), "");
  EXPECT_EQ(data.size(), 1);
  EXPECT_EQ(data.example(0).row, 3);
  ASSERT_EQ(data.ledger().size(), 4u);
  EXPECT_EQ(data.ledger()[2].dropped, "no supervised token left after truncation to 3 tokens");
}

TEST(Dataset, AnEndIsSupervisedWhenEveryTurnIsClosed) {
  Dataset data(100);
  data.add({0, {1, 2, 3, 4}, {0, 1, 0, 1}, {0, 1, 0, 1}});
  data.add({1, {1, 2, 3, 4}, {0, 1, 0, 1}, {0, 0, 0, 1}});
  data.add({2, {1, 2, 3, 4}, {0, 1, 1, 0}, {0, 0, 0, 1}});
  EXPECT_TRUE(data.ledger()[0].end_supervised);
  EXPECT_FALSE(data.ledger()[1].end_supervised) << "the first turn stays open";
  EXPECT_FALSE(data.ledger()[2].end_supervised) << "the end has no weight";
}

TEST(Dataset, CountingWritesDownWhatTheBatchHeld) {
  Dataset data(100);
  data.add({0, {1, 2}, {0, 0}, {0, 1}});
  data.add({1, {1, 2, 3}, {0, 1, 1}, {0, 0, 1}});
  data.add({2, {4, 5}, {0, 1}, {0, 1}});
  const Example* rows[] = {&data.example(1), &data.example(0)};
  const Batch batch = make_batch(rows);
  data.count(batch, {1, 0});
  data.count(batch, {1, 0});
  EXPECT_EQ(data.ledger()[0].times_seen, 0);
  EXPECT_EQ(data.ledger()[1].times_seen, 2);
  EXPECT_EQ(data.ledger()[1].supervised_tokens, 2);
  EXPECT_EQ(data.ledger()[2].supervised_tokens, 1);
  EXPECT_TRUE(data.ledger()[2].end_supervised);
}

TEST(Dataset, WrongRowsAreRefused) {
  EXPECT_THROW(Dataset(1), InputError);
  Dataset data(10);
  EXPECT_THROW(data.add({0, {1, 2}, {0}, {0, 1}}), Error);
  EXPECT_THROW(data.add({0, {1, 2}, {0, -1}, {0, 1}}), InputError);
  EXPECT_THROW(data.add({0, {1, 2}, {0, NAN}, {0, 1}}), InputError);
  EXPECT_THROW(data.add({0, {1, 2}, {0, INFINITY}, {0, 1}}), InputError);
  EXPECT_TRUE(data.ledger().empty());
  EXPECT_THROW(data.example(0), Error);
}

}  // namespace
}  // namespace luthier
