#include "luthier/ops/token_logprob.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <gtest/gtest.h>

#include <cmath>

#include "dense_cases.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

using testing::Block;

struct Case {
  int64_t rows, columns, vocabulary;
};
constexpr Case kCases[] = {{1, 1, 1},      {1, 64, 1000},  {3, 33, 17},    {17, 576, 2049}, {65, 48, 513},
                           {130, 35, 300}, {2100, 16, 50}, {40, 64, 4700}, {64, 30, 255},   {5, 20, 800}};
constexpr double kScale = 0.7;

at::Tensor logits_of(const at::Tensor& hidden, const at::Tensor& head, const LogitMap& map) {
  const at::Tensor logits = hidden.mm(head.t()) * map.scale;
  return map.soft_cap > 0 ? map.soft_cap * (logits / map.soft_cap).tanh() : logits;
}

void expect_agreement_with_autograd(const LogitMap& map) {
  for (const Case& c : kCases) {
    testing::on_every_path([&](at::ScalarType type) {
      const double deviation = 3 / std::sqrt(static_cast<double>(c.columns));
      const Block hidden(testing::normal({c.rows, c.columns}, type, 1));
      const Block head(testing::normal({c.vocabulary, c.columns}, type, 2, deviation));
      const at::Tensor targets = testing::integers(c.rows, c.vocabulary, 3);
      const at::Tensor d_log_probs = testing::normal({c.rows}, at::kFloat, 4);
      const at::Tensor hidden64 = testing::tracked(hidden.view), head64 = testing::tracked(head.view);
      const at::Tensor logits = logits_of(hidden64, head64, map);
      const at::Tensor expected = at::log_softmax(logits, 1).gather(1, targets.to(at::kLong).unsqueeze(1)).squeeze(1);
      (expected * d_log_probs.to(at::kDouble)).sum().backward();

      at::Tensor log_probs = at::empty({c.rows}, at::kFloat), log_sum_exp = at::empty({c.rows}, at::kFloat);
      token_logprob_forward(hidden.view, head.view, targets, map, log_probs, log_sum_exp);
      EXPECT_LE(testing::largest_error(log_probs, expected), 1e-5);
      EXPECT_LE(testing::largest_error(log_sum_exp, logits.logsumexp(1)), 1e-5);

      Block d_hidden(at::empty({c.rows, c.columns}, type)), d_head(testing::normal(head.view.sizes(), at::kFloat, 5));
      const at::Tensor before = d_head.view.to(at::kDouble);
      token_logprob_backward(hidden.view, head.view, targets, map, log_sum_exp, d_log_probs, d_hidden.view,
                             d_head.view);
      EXPECT_LE(testing::largest_error(d_hidden.view, hidden64.grad()), testing::rounding(type));
      EXPECT_LE(testing::largest_error(d_head.view, before + head64.grad()), testing::rounding(type));
      EXPECT_TRUE(d_hidden.intact() && d_head.intact());

      at::Tensor again = at::empty({c.rows, c.columns}, type), log_probs_again = at::empty({c.rows}, at::kFloat);
      token_logprob_forward(hidden.view, head.view, targets, map, log_probs_again, log_sum_exp);
      token_logprob_backward(hidden.view, head.view, targets, map, log_sum_exp, d_log_probs, again, at::Tensor());
      EXPECT_TRUE(testing::same_bits(log_probs_again, log_probs) && testing::same_bits(again, d_hidden.view));
    });
  }
}

TEST(TokenLogprob, forward_and_backward_agree_with_autograd) { expect_agreement_with_autograd(kScale); }

TEST(TokenLogprob, capped_logits_agree_with_autograd) { expect_agreement_with_autograd({kScale, 4}); }

// The vocabulary is computed in tiles of 256 or 2048: rows within one, across their borders, at both ends.
TEST(TokenLogprob, the_gradient_of_some_rows_of_the_head_is_a_part_of_the_whole) {
  constexpr int64_t kVocabulary = 4703, kColumns = 64, kRows = 37;
  for (const LogitMap map : {LogitMap(kScale), LogitMap(kScale, 4)}) {
    testing::on_every_path([&](at::ScalarType type) {
      const at::Tensor hidden = testing::normal({kRows, kColumns}, type, 1);
      const at::Tensor head = testing::normal({kVocabulary, kColumns}, type, 2, 0.4);
      const at::Tensor targets = testing::integers(kRows, kVocabulary, 3);
      targets.narrow(0, 0, 3).copy_(at::arange(4700, 4703, at::kInt));
      const at::Tensor d_log_probs = testing::normal({kRows}, at::kFloat, 4);
      at::Tensor log_probs = at::empty({kRows}, at::kFloat), log_sum_exp = at::empty({kRows}, at::kFloat);
      token_logprob_forward(hidden, head, targets, map, log_probs, log_sum_exp);
      const at::Tensor start = testing::normal({kVocabulary, kColumns}, at::kFloat, 5);
      at::Tensor whole = start.clone(), d_hidden = at::empty({kRows, kColumns}, type);
      token_logprob_backward(hidden, head, targets, map, log_sum_exp, d_log_probs, d_hidden, whole);
      const std::pair<int64_t, int64_t> ranges[] = {{4700, 3}, {4702, 1}, {0, 5}, {250, 12}, {2040, 300}, {7, 4690}};
      for (const auto& [first, count] : ranges) {
        Block some(start.narrow(0, first, count).clone());
        at::Tensor again = at::empty({kRows, kColumns}, type);
        token_logprob_backward(hidden, head, targets, map, log_sum_exp, d_log_probs, again, some.view, first);
        EXPECT_LE(testing::largest_error(some.view, whole.narrow(0, first, count)), 1e-5) << first;
        EXPECT_TRUE(testing::same_bits(again, d_hidden) && some.intact()) << first;
      }
    });
  }
}

TEST(TokenLogprob, refuses_rows_that_the_head_does_not_have) {
  const at::Tensor hidden = testing::normal({4, 8}, at::kFloat, 1), head = testing::normal({5, 8}, at::kFloat, 2);
  const at::Tensor targets = testing::integers(4, 5, 3), d_log_probs = testing::normal({4}, at::kFloat, 4);
  at::Tensor d_hidden = at::empty_like(hidden), d_head = testing::normal({2, 8}, at::kFloat, 5);
  const auto backward = [&](int64_t first) {
    token_logprob_backward(hidden, head, targets, 1, d_log_probs, d_log_probs, d_hidden, d_head, first);
  };
  EXPECT_NO_THROW(backward(3));
  EXPECT_THROW(backward(4), Error);
  EXPECT_THROW(backward(-1), Error);
}

TEST(TokenLogprob, logits_agree_with_double) {
  for (const LogitMap map : {LogitMap(kScale), LogitMap(kScale, 5)}) {
    for (const Case& c : kCases) {
      testing::on_every_path([&](at::ScalarType type) {
        const Block hidden(testing::normal({c.rows, c.columns}, type, 1));
        const Block head(testing::normal({c.vocabulary, c.columns}, type, 2));
        Block logits(at::empty({c.rows, c.vocabulary}, at::kFloat));
        logits_forward(hidden.view, head.view, map, logits.view);
        const at::Tensor truth = logits_of(hidden.view.to(at::kDouble), head.view.to(at::kDouble), map);
        EXPECT_LE(testing::largest_error(logits.view, truth), 1e-5);
        EXPECT_TRUE(logits.intact());
      });
    }
  }
}

// The terms have a common sign, and many small ones stand against a large sum.
TEST(TokenLogprob, few_rows_keep_their_precision_over_a_large_vocabulary) {
  constexpr int64_t kVocabulary = 40000, kColumns = 16;
  const auto set_before = instruction_set();
  for (const InstructionSet set : {InstructionSet::reference, set_before}) {
    force_instruction_set(set);
    for (const int64_t rows : {1, 2, 3, 5, 7, 11, 16}) {
      const at::Tensor hidden = testing::normal({rows, kColumns}, at::kFloat, 1, 0.5);
      const at::Tensor head = testing::normal({kVocabulary, kColumns}, at::kFloat, 2) + 1;
      const at::Tensor targets = testing::integers(rows, kVocabulary, 3);
      const at::Tensor d_log_probs = testing::normal({rows}, at::kFloat, 4);
      const at::Tensor hidden64 = testing::tracked(hidden), head64 = head.to(at::kDouble);
      const at::Tensor expected =
          at::log_softmax(hidden64.mm(head64.t()), 1).gather(1, targets.to(at::kLong).unsqueeze(1)).squeeze(1);
      (expected * d_log_probs.to(at::kDouble)).sum().backward();

      at::Tensor log_probs = at::empty({rows}, at::kFloat), log_sum_exp = at::empty({rows}, at::kFloat);
      at::Tensor d_hidden = at::empty_like(hidden);
      token_logprob_forward(hidden, head, targets, 1, log_probs, log_sum_exp);
      token_logprob_backward(hidden, head, targets, 1, log_sum_exp, d_log_probs, d_hidden, at::Tensor());
      EXPECT_LE(testing::largest_error(d_hidden, hidden64.grad()), 3e-6) << name_of(set) << ", " << rows << " rows";
    }
  }
  force_instruction_set(set_before);
}

TEST(TokenLogprob, stays_finite_when_logits_are_large) {
  testing::on_every_path([](at::ScalarType type) {
    const at::Tensor hidden = testing::normal({5, 64}, type, 1, 100), head = testing::normal({700, 64}, type, 2, 10);
    const at::Tensor targets = testing::integers(5, 700, 3);
    at::Tensor log_probs = at::empty({5}, at::kFloat), log_sum_exp = at::empty({5}, at::kFloat);
    token_logprob_forward(hidden, head, targets, 1, log_probs, log_sum_exp);
    const at::Tensor logits = hidden.to(at::kDouble).mm(head.to(at::kDouble).t());
    EXPECT_LE(testing::relative_error_of_elements(log_sum_exp, logits.logsumexp(1)), 1e-5);
  });
}

TEST(TokenLogprob, shows_what_is_not_a_number) {
  testing::on_every_path([](at::ScalarType type) {
    at::Tensor hidden = testing::normal({20, 64}, type, 1);
    hidden[7][5] = NAN;
    const at::Tensor head = testing::normal({700, 64}, type, 2), targets = testing::integers(20, 700, 3);
    at::Tensor log_probs = at::empty({20}, at::kFloat), log_sum_exp = at::empty({20}, at::kFloat);
    token_logprob_forward(hidden, head, targets, 1, log_probs, log_sum_exp);
    for (int64_t r = 0; r < 20; ++r) EXPECT_EQ(std::isnan(log_probs[r].item<float>()), r == 7);
    at::Tensor d_hidden = at::empty_like(hidden);
    token_logprob_backward(hidden, head, targets, 1, log_sum_exp, log_probs, d_hidden, at::Tensor());
    for (int64_t r = 0; r < 20; ++r) EXPECT_EQ(std::isnan(d_hidden[r][0].item<float>()), r == 7);
  });
}

TEST(TokenLogprob, refuses_targets_outside_the_vocabulary) {
  const at::Tensor hidden = testing::normal({4, 8}, at::kFloat, 1), head = testing::normal({5, 8}, at::kFloat, 2);
  const at::Tensor targets = testing::integers(4, 5, 3);
  at::Tensor log_probs = at::empty({4}, at::kFloat), log_sum_exp = at::empty({4}, at::kFloat);
  EXPECT_THROW(token_logprob_forward(hidden, head, targets + 5, 1, log_probs, log_sum_exp), Error);
  EXPECT_THROW(token_logprob_forward(hidden, head, targets - 5, 1, log_probs, log_sum_exp), Error);
  EXPECT_THROW(token_logprob_forward(hidden, head.narrow(1, 0, 7), targets, 1, log_probs, log_sum_exp), Error);
  EXPECT_NO_THROW(token_logprob_forward(hidden, head, targets, 1, log_probs, log_sum_exp));
}

}  // namespace
}  // namespace luthier
