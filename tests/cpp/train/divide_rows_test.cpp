#include "luthier/train/divide_rows.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "../model/tiny_decoder.h"
#include "all_examples.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

using testing::all;

using Parts = std::vector<std::vector<int64_t>>;

void add_row(Dataset& data, std::vector<int32_t> tokens) {
  std::vector<float> weights(tokens.size(), 0);
  weights.back() = 1;
  data.add({data.size(), tokens, weights, std::vector<uint8_t>(tokens.size(), 0)});
}

// Rows of 3 to 40 tokens; every other one behind a common prefix.
Dataset mixed(int64_t rows) {
  Dataset data(1000);
  const std::vector<int32_t> prefix = testing::random_tokens(30, 1, 30000);
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int32_t> tokens = row % 2 ? prefix : std::vector<int32_t>();
    for (int32_t token : testing::random_tokens(3 + row * 7 % 38, 10 + row, 30000)) tokens.push_back(token);
    add_row(data, tokens);
  }
  return data;
}

int64_t computed(const Dataset& data, const std::vector<int64_t>& examples) {
  std::vector<const Example*> rows;
  for (int64_t index : examples) rows.push_back(&data.example(index));
  return rows.empty() ? 0 : make_batch(rows).rows();
}

int64_t largest(const Dataset& data, const Parts& parts) {
  int64_t most = 0;
  for (const std::vector<int64_t>& part : parts) most = std::max(most, computed(data, part));
  return most;
}

TEST(DivideRows, EveryExampleIsInExactlyOnePart) {
  for (const int64_t rows : {0, 1, 2, 5, 16, 31}) {
    const Dataset data = mixed(rows);
    for (const int64_t count : {1, 2, 3, 7}) {
      const Parts parts = divide_rows(data, all(data), count);
      ASSERT_EQ(static_cast<int64_t>(parts.size()), count);
      std::vector<int64_t> seen;
      for (const std::vector<int64_t>& part : parts) seen.insert(seen.end(), part.begin(), part.end());
      std::sort(seen.begin(), seen.end());
      EXPECT_EQ(seen, all(data)) << rows << " rows in " << count;
    }
  }
}

TEST(DivideRows, NoCutOfTheSortedRowsInTwoIsBetter) {
  for (const int64_t rows : {2, 3, 9, 20}) {
    const Dataset data = mixed(rows);
    std::vector<int64_t> sorted = divide_rows(data, all(data), 1)[0];
    int64_t best = computed(data, sorted);
    for (size_t cut = 1; cut < sorted.size(); ++cut) {
      best =
          std::min(best, largest(data, {{sorted.begin(), sorted.begin() + cut}, {sorted.begin() + cut, sorted.end()}}));
    }
    EXPECT_EQ(largest(data, divide_rows(data, all(data), 2)), best) << rows;
  }
}

TEST(DivideRows, OneLongRowStandsAgainstManyShortOnes) {
  Dataset data(1000);
  for (int64_t row = 0; row < 10; ++row) add_row(data, testing::random_tokens(11, 5 + row, 30000));
  add_row(data, testing::random_tokens(101, 99, 30000));
  const Parts parts = divide_rows(data, all(data), 2);
  const int64_t total = computed(data, all(data));
  EXPECT_LE(largest(data, parts), 100 + total / 2);
  EXPECT_EQ(largest(data, divide_rows(data, all(data), 50)), 100);
}

TEST(DivideRows, RowsBehindTheirLastTargetCostNothing) {
  Dataset data(1000);
  for (int64_t row = 0; row < 4; ++row) {
    // All begin with a token of their own, in the order of the rows; the first two are long, but end early.
    std::vector<int32_t> tokens(row < 2 ? 200 : 21, 7);
    tokens[0] = static_cast<int32_t>(row);
    std::vector<float> weights(tokens.size(), 0);
    weights[20] = 1;
    data.add({row, tokens, weights, std::vector<uint8_t>(tokens.size(), 0)});
  }
  EXPECT_EQ(divide_rows(data, all(data), 2), (Parts{{0, 1}, {2, 3}}));
}

TEST(DivideRows, TheOrderOfTheExamplesDoesNotMatter) {
  const Dataset data = mixed(12);
  std::vector<int64_t> reversed = all(data);
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(divide_rows(data, reversed, 3), divide_rows(data, all(data), 3));
}

TEST(DivideRows, NoPartsAreRefused) {
  const Dataset data = mixed(2);
  EXPECT_THROW(divide_rows(data, all(data), 0), Error);
}

}  // namespace
}  // namespace luthier
