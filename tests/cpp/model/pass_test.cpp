#include "luthier/model/pass.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "luthier/base/error.h"
#include "tiny_decoder.h"

namespace luthier {
namespace {

using testing::hidden_states;
using testing::random_tokens;
using testing::relative_error;
using testing::tiny_decoder;

TEST(Pass, SelectedRowsAreThoseOfTheWholePass) {
  const std::vector<int32_t> tokens = random_tokens(21, 1);
  const int64_t rows[] = {0, 4, 20};
  for (const auto& [name, config] : testing::varied_configs()) {
    SCOPED_TRACE(name);
    Decoder decoder = testing::random_decoder(config);
    const at::Tensor all = hidden_states(decoder, tokens);
    const at::Tensor some = hidden_states(decoder, tokens, {0, 4, 20});
    EXPECT_EQ(some.size(0), 3);
    for (int64_t i = 0; i < 3; ++i) EXPECT_LT(relative_error(some[i], all[rows[i]]), 1e-5);
  }
}

// The gradient of sum(hidden * d_hidden) over the selected rows, of every weight.
std::vector<at::Tensor> gradients_of(const DecoderConfig& config, const std::vector<int64_t>& selected,
                                     const at::Tensor& d_hidden, bool recompute) {
  Decoder decoder = testing::random_decoder(config);
  train_all_weights(decoder, true);
  const std::vector<int32_t> tokens = random_tokens(21, 1);
  const std::vector<const std::vector<int32_t>*> rows{&tokens};
  const ForestInput input = make_forest_input(make_prompt_batch(rows, 0, nullptr), selected, decoder.config);
  DecoderPass pass(decoder, recompute);
  pass.forward(input, true);
  pass.backward(input, d_hidden);
  std::vector<at::Tensor> gradients;
  for (const NamedWeight& weight : named_weights(decoder)) gradients.push_back(weight.gradient.clone());
  return gradients;
}

TEST(Pass, GradientsThroughSelectedRowsAreThoseThroughAllWithZerosElsewhere) {
  const std::vector<int64_t> selected{3, 11, 20};
  for (const auto& [name, config] : testing::varied_configs()) {
    SCOPED_TRACE(name);
    const at::Tensor some = testing::uniform({3, config.hidden_size}, 9);
    at::Tensor all = at::zeros({21, config.hidden_size});
    for (int64_t i = 0; i < 3; ++i) all[selected[i]].copy_(some[i]);
    const std::vector<at::Tensor> found = gradients_of(config, selected, some, false);
    const std::vector<at::Tensor> again = gradients_of(config, selected, some, true);
    const std::vector<at::Tensor> wanted = gradients_of(config, {}, all, false);
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_LT(relative_error(found[i], wanted[i]), 1e-5) << i;
      EXPECT_TRUE(again[i].equal(found[i])) << i;
    }
  }
}

TEST(Pass, NoTokenSeesALaterOne) {
  Decoder decoder = tiny_decoder();
  std::vector<int32_t> tokens = random_tokens(15, 2);
  const at::Tensor whole = hidden_states(decoder, tokens);
  tokens.back() = (tokens.back() + 1) % 23;
  const at::Tensor changed = hidden_states(decoder, tokens);
  EXPECT_TRUE(changed.narrow(0, 0, 14).equal(whole.narrow(0, 0, 14)));
  EXPECT_GT(relative_error(changed[14], whole[14]), 1e-3);
}

TEST(Pass, AForestGivesEachRowWhatItHasAlone) {
  Decoder decoder = tiny_decoder(false, true);
  const std::vector<int32_t> trunk = random_tokens(5, 3);
  std::vector<std::vector<int32_t>> rows;
  for (uint64_t i = 0; i < 4; ++i) {
    rows.push_back(trunk);
    const std::vector<int32_t> branch = random_tokens(3, 10 + i / 2), leaf = random_tokens(1 + i, 20 + i);
    rows.back().insert(rows.back().end(), branch.begin(), branch.end());
    rows.back().insert(rows.back().end(), leaf.begin(), leaf.end());
  }
  std::vector<const std::vector<int32_t>*> given;
  for (const auto& row : rows) given.push_back(&row);
  std::vector<int32_t> leaves;
  const Batch forest = make_prompt_batch(given, 2, &leaves);
  EXPECT_LT(forest.rows(), 4 * 8);
  DecoderPass pass(decoder);
  const at::Tensor hidden = pass.forward(make_forest_input(forest, {}, decoder.config), false);
  for (size_t i = 0; i < rows.size(); ++i) {
    const at::Tensor alone = hidden_states(decoder, rows[i]);
    const Segment& leaf = forest.segments[leaves[i]];
    const int64_t length = leaf.end - leaf.begin;
    EXPECT_LT(relative_error(hidden.narrow(0, leaf.begin, length), alone.narrow(0, leaf.position, length)), 1e-5);
  }
}

TEST(Pass, BackwardNeedsAForwardThatKept) {
  Decoder decoder = tiny_decoder();
  const std::vector<int32_t> tokens = random_tokens(4, 5);
  const std::vector<const std::vector<int32_t>*> rows{&tokens};
  const Batch batch = make_prompt_batch(rows, 0, nullptr);
  const ForestInput input = make_forest_input(batch, {}, decoder.config);
  DecoderPass pass(decoder);
  const at::Tensor hidden = pass.forward(input, false);
  EXPECT_THROW(pass.backward(input, hidden), Error);
}

}  // namespace
}  // namespace luthier
