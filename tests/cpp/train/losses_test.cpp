#include "luthier/train/losses.h"

#include <gtest/gtest.h>

#include "../model/tiny_decoder.h"

namespace luthier {
namespace {

using testing::random_tokens;
using testing::tiny_decoder;

// Rows with a common beginning, some of which end in the same place.
Dataset make_dataset() {
  Dataset data(100);
  const std::vector<int32_t> prefix = random_tokens(9, 1, 22);
  for (int64_t row = 0; row < 6; ++row) {
    std::vector<int32_t> tokens = row % 3 == 0 ? std::vector<int32_t>() : prefix;
    for (int32_t token : random_tokens(2 + row / 2, 10 + row, 22)) tokens.push_back(token);
    std::vector<float> weights(tokens.size(), 0);
    weights[1] = 0.25f * static_cast<float>(row);
    weights.back() = 1;
    data.add({row, tokens, weights, std::vector<uint8_t>(tokens.size(), 0)});
  }
  return data;
}

TEST(Losses, OfExamplesTogetherAreThoseOfEachAlone) {
  Decoder decoder = tiny_decoder(true, true);
  const Dataset data = make_dataset();
  DecoderPass pass(decoder);
  EXPECT_TRUE(losses(decoder, pass, data, {}, 100).empty());
  const std::vector<int64_t> examples{4, 0, 5, 1, 2, 3};
  for (const int64_t micro_tokens : {1, 20, 4096}) {
    const std::vector<LossSum> together = losses(decoder, pass, data, examples, micro_tokens);
    ASSERT_EQ(together.size(), examples.size());
    for (size_t i = 0; i < examples.size(); ++i) {
      const LossSum alone = losses(decoder, pass, data, {examples[i]}, micro_tokens).front();
      EXPECT_GT(alone.loss, 0);
      EXPECT_NEAR(together[i].loss, alone.loss, 1e-5 * alone.loss);
      EXPECT_EQ(together[i].weight, alone.weight);
      EXPECT_EQ(alone.weight, data.example(examples[i]).weight());
    }
  }
}

}  // namespace
}  // namespace luthier
