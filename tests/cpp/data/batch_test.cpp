#include "luthier/data/batch.h"

#include <gtest/gtest.h>

#include <numeric>

#include "luthier/base/error.h"
#include "luthier/base/random.h"

namespace luthier {
namespace {

template <class T>
std::vector<T> values(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<T>(), tensor.const_data_ptr<T>() + tensor.numel()};
}

Example example(std::vector<int32_t> tokens, std::vector<float> weights) {
  std::vector<uint8_t> ends(tokens.size(), 0);
  ends.back() = 1;
  return {0, std::move(tokens), std::move(weights), std::move(ends)};
}

Batch batch_of(const std::vector<Example>& examples, int32_t minimum_shared = kMinimumSharedRows) {
  std::vector<const Example*> rows;
  for (const Example& row : examples) rows.push_back(&row);
  return make_batch(rows, minimum_shared);
}

// The tokens that the batch row `row` and those before it stand for.
std::vector<int32_t> history(const Batch& batch, int32_t row) {
  std::vector<int32_t> reversed;
  const std::vector<int32_t> tokens = values<int32_t>(batch.tokens);
  size_t s = 0;
  while (batch.segments[s].end <= row) ++s;
  int32_t last = row;
  for (int32_t segment = static_cast<int32_t>(s); segment >= 0; segment = batch.segments[segment].parent) {
    if (segment != static_cast<int32_t>(s)) last = batch.segments[segment].end - 1;
    for (int32_t i = last; i >= batch.segments[segment].begin; --i) reversed.push_back(tokens[i]);
  }
  return {reversed.rbegin(), reversed.rend()};
}

TEST(Batch, TargetsFollowTheRowThatPredictsThem) {
  const Batch batch = batch_of({example({5, 6, 7, 8}, {0, 0, 1, 0.5})});
  EXPECT_EQ(values<int32_t>(batch.tokens), (std::vector<int32_t>{5, 6, 7})) << "the last target is not read";
  EXPECT_EQ(values<int32_t>(batch.positions), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(values<int32_t>(batch.target_rows), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(values<int32_t>(batch.targets), (std::vector<int32_t>{7, 8}));
  EXPECT_EQ(values<float>(batch.weights), (std::vector<float>{1, 0.5}));
  EXPECT_EQ(batch.ends, (std::vector<uint8_t>{0, 1}));
}

TEST(Batch, RowsBehindTheLastTargetAreLeftOut) {
  EXPECT_EQ(batch_of({example({1, 2, 3, 4, 5, 6}, {0, 1, 0, 0, 0, 0})}).rows(), 1);
}

TEST(Batch, TheWeightOfTheFirstTokenIsNotUsed) {
  const Batch batch = batch_of({example({1, 2}, {9, 1})});
  EXPECT_EQ(values<float>(batch.weights), std::vector<float>{1});
}

TEST(Batch, WhereExamplesPartOneRowHasSeveralTargets) {
  const Batch batch = batch_of({example({1, 2, 3, 4}, {0, 0, 1, 1}), example({1, 2, 5}, {0, 0, 2})}, 2);
  EXPECT_EQ(values<int32_t>(batch.tokens), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(values<int32_t>(batch.target_rows), (std::vector<int32_t>{1, 2, 1}));
  EXPECT_EQ(values<int32_t>(batch.targets), (std::vector<int32_t>{3, 4, 5}));
  EXPECT_EQ(batch.example, (std::vector<int32_t>{0, 0, 1}));
}

TEST(Batch, WithoutATargetItIsAnError) { EXPECT_THROW(batch_of({example({1, 2, 3}, {1, 0, 0})}), Error); }

TEST(Batch, EveryTargetStandsBehindItsOwnTokens) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed, 3);
    std::vector<Example> examples;
    for (uint32_t e = 0; e < 1 + random.below(9); ++e) {
      std::vector<int32_t> tokens(2 + random.below(12));
      std::vector<float> weights;
      for (int32_t& token : tokens) {
        token = static_cast<int32_t>(random.below(2));
        weights.push_back(static_cast<float>(random.below(3)));
      }
      weights.back() = 1;
      examples.push_back(example(tokens, weights));
    }
    const int32_t minimum_shared = static_cast<int32_t>(random.below(4));
    const Batch batch = batch_of(examples, minimum_shared);
    std::vector<const Example*> pointers;
    for (const Example& row : examples) pointers.push_back(&row);
    EXPECT_EQ(batch_rows(pointers, minimum_shared), batch.rows());
    size_t r = 0;
    const std::vector<int32_t> rows = values<int32_t>(batch.target_rows), targets = values<int32_t>(batch.targets);
    for (size_t e = 0; e < examples.size(); ++e) {
      for (size_t i = 1; i < examples[e].tokens.size(); ++i) {
        if (examples[e].weights[i] == 0) continue;
        ASSERT_LT(r, rows.size());
        EXPECT_EQ(batch.example[r], static_cast<int32_t>(e));
        EXPECT_EQ(targets[r], examples[e].tokens[i]);
        EXPECT_EQ(history(batch, rows[r]),
                  std::vector<int32_t>(examples[e].tokens.begin(), examples[e].tokens.begin() + i));
        EXPECT_EQ(values<int32_t>(batch.positions)[rows[r]], static_cast<int32_t>(i) - 1);
        ++r;
      }
    }
    EXPECT_EQ(r, rows.size());
  }
}

TEST(PromptBatch, LeavesAreTheSegmentsInWhichPromptsEnd) {
  const std::vector<std::vector<int32_t>> prompts{{1, 2, 3}, {1, 2}, {}, {1, 2, 3}};
  std::vector<const std::vector<int32_t>*> given;
  for (const auto& prompt : prompts) given.push_back(&prompt);
  std::vector<int32_t> leaves;
  const Batch batch = make_prompt_batch(given, 1, &leaves);
  EXPECT_EQ(batch.rows(), 3);
  EXPECT_EQ(leaves[0], leaves[3]);
  EXPECT_EQ(leaves[2], -1);
  EXPECT_EQ(batch.segments[leaves[0]].parent, leaves[1]);
}

}  // namespace
}  // namespace luthier
