#include "luthier/train/micro_batches.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "../model/tiny_decoder.h"
#include "all_examples.h"
#include "luthier/train/target_states.h"

namespace luthier {
namespace {

using testing::all;

Dataset dataset_of(int64_t rows, bool shared, int64_t length = 3) {
  Dataset data(1000);
  const std::vector<int32_t> prefix = testing::random_tokens(20, 1);
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int32_t> tokens = shared ? prefix : std::vector<int32_t>();
    for (int32_t token : testing::random_tokens(length + row % 5, 10 + row)) tokens.push_back(token);
    std::vector<float> weights(tokens.size(), 0);
    weights.back() = 1;
    data.add({row, tokens, weights, std::vector<uint8_t>(tokens.size(), 0)});
  }
  return data;
}

TEST(MicroBatches, EveryExampleIsInExactlyOneThatIsSmallEnough) {
  const Dataset data = dataset_of(23, false);
  for (const int64_t most : {1, 2, 7, 12, 30, 1000}) {
    std::vector<int64_t> seen;
    const std::vector<MicroBatch> parts = make_micro_batches(data, all(data), most);
    for (const MicroBatch& part : parts) {
      EXPECT_TRUE(part.batch.rows() <= most || part.examples.size() == 1);
      EXPECT_EQ(part.batch.target_count(), static_cast<int64_t>(part.examples.size()));
      seen.insert(seen.end(), part.examples.begin(), part.examples.end());
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, all(data)) << most;
    if (most == 1) {
      EXPECT_EQ(parts.size(), 23u);
    } else if (most == 1000) {
      EXPECT_EQ(parts.size(), 1u);
    }
  }
}

TEST(MicroBatches, ASharedPrefixCountsOnce) {
  const Dataset data = dataset_of(10, true);
  EXPECT_EQ(make_micro_batches(data, all(data), 20 + 10 * 6).size(), 1u);
}

TEST(MicroBatches, LargeForestsAreHalvedWhereNothingIsShared) {
  const Dataset apart = dataset_of(16, false, 200), together = dataset_of(16, true, 200);
  const std::vector<MicroBatch> parts = make_micro_batches(apart, all(apart), 10000);
  EXPECT_EQ(parts.size(), 4u);
  for (const MicroBatch& part : parts) EXPECT_LE(part.batch.rows(), 1024);
  EXPECT_EQ(make_micro_batches(together, all(together), 10000).size(), 2u)
      << "20 rows twice are little in 3,200, and too many in 1,600";
  const Dataset prompt = dataset_of(400, true, 3);
  EXPECT_EQ(make_micro_batches(prompt, all(prompt), 10000).size(), 1u);
}

TEST(MicroBatches, ARepeatedExampleCountsTwice) {
  const Dataset data = dataset_of(2, true);
  const std::vector<MicroBatch> parts = make_micro_batches(data, {1, 1}, 1000);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].batch.target_count(), 2);
}

TEST(TargetStates, TargetsOfOneRowShareItsStateAndAddTheirGradients) {
  Batch batch;
  batch.target_rows = at::empty({4}, at::kInt);
  const int32_t rows[] = {5, 2, 5, 9};
  std::copy(rows, rows + 4, batch.target_rows.data_ptr<int32_t>());
  batch.example = {0, 0, 1, 1};
  const TargetStates states(batch);
  EXPECT_EQ(states.rows, (std::vector<int64_t>{2, 5, 9}));
  EXPECT_FALSE(states.identity);
  const at::Tensor hidden = testing::uniform({3, 4}, 1), gathered = states.gather(hidden);
  const int64_t place[] = {1, 0, 1, 2};
  for (int64_t r = 0; r < 4; ++r) EXPECT_TRUE(gathered[r].equal(hidden[place[r]]));
  const at::Tensor gradient = testing::uniform({4, 4}, 2), scattered = states.scatter(gradient);
  EXPECT_TRUE(scattered[1].equal(gradient[0] + gradient[2]));
  EXPECT_TRUE(scattered[0].equal(gradient[1]));
}

}  // namespace
}  // namespace luthier
