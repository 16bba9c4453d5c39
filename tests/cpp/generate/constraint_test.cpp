#include "luthier/generate/constraint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <vector>

#include "../model/tiny_decoder.h"
#include "luthier/generate/generate.h"
#include "luthier/generate/sample.h"
#include "luthier/generate/token_trie.h"
#include "luthier/ops/token_logprob.h"

namespace luthier {
namespace {

using testing::hidden_states;
using testing::random_tokens;
using testing::tiny_decoder;

using Answers = std::vector<std::vector<int32_t>>;

constexpr size_t kVocabulary = 23;
constexpr int32_t kEnd = 3;
// One label is the beginning of another, and two begin alike.
const Answers kLabels{{7, 9}, {7, 9, 11}, {7, 2}, {20}, {0, 22, 0, 1}};

GenerateSettings settings_of(double temperature = 0) {
  GenerateSettings settings;
  settings.max_new_tokens = 8;
  settings.end_tokens = {kEnd, 4};
  settings.temperature = temperature;
  return settings;
}

Answers make_prompts() {
  Answers prompts;
  for (uint64_t i = 0; i < 8; ++i) {
    std::vector<int32_t> prompt = random_tokens(17, 1);
    for (int32_t token : random_tokens(1 + i, 20 + i)) prompt.push_back(token);
    prompts.push_back(prompt);
  }
  prompts.push_back(prompts[0]);
  return prompts;
}

std::vector<float> next_logits(Decoder& decoder, const std::vector<int32_t>& tokens) {
  const at::Tensor last = hidden_states(decoder, tokens).narrow(0, static_cast<int64_t>(tokens.size()) - 1, 1);
  at::Tensor logits = at::empty({1, decoder.config.vocabulary_size}, at::kFloat);
  logits_forward(last, decoder.head.value, 1, logits);
  return {logits.const_data_ptr<float>(), logits.const_data_ptr<float>() + logits.numel()};
}

// Greedy decoding without a cache, where a label may only go on as one of the labels does.
std::vector<int32_t> greedy_label(Decoder& decoder, std::vector<int32_t> tokens) {
  std::vector<int32_t> answer;
  while (true) {
    std::vector<float> logits = next_logits(decoder, tokens);
    int32_t best = -1;
    for (const auto& label : kLabels) {
      if (label.size() < answer.size() || !std::equal(answer.begin(), answer.end(), label.begin())) continue;
      std::vector<int32_t> candidates{kEnd, 4};
      if (label.size() > answer.size()) candidates = {label[answer.size()]};
      for (const int32_t token : candidates) {
        if (best < 0 || logits[token] > logits[best] || (logits[token] == logits[best] && token < best)) best = token;
      }
    }
    if (best == kEnd || best == 4) return answer;
    answer.push_back(best);
    tokens.push_back(best);
  }
}

// Allows what a function of prompt and answer says.
class FunctionConstraint final : public Constraint {
 public:
  using Allowed = std::function<std::vector<int32_t>(int64_t prompt, const std::vector<int32_t>& answer)>;

  explicit FunctionConstraint(Allowed allowed) : allowed_(std::move(allowed)) {}

  void next(std::span<const int64_t> prompts, std::span<const int32_t> tokens, const at::Tensor& masks) override {
    ++calls;
    for (size_t i = 0; i < prompts.size(); ++i) {
      std::vector<int32_t>& answer = answers_[prompts[i]];
      if (tokens[i] >= 0) answer.push_back(tokens[i]);
      for (const int32_t token : allowed_(prompts[i], answer)) {
        masks.data_ptr<int32_t>()[static_cast<int64_t>(i) * masks.size(1) + token / 32] |=
            static_cast<int32_t>(uint32_t{1} << (token % 32));
      }
    }
  }

  int calls = 0;

 private:
  Allowed allowed_;
  std::map<int64_t, std::vector<int32_t>> answers_;
};

std::vector<int32_t> every_token() {
  std::vector<int32_t> tokens;
  for (int32_t token = 0; token < static_cast<int32_t>(kVocabulary); ++token) tokens.push_back(token);
  return tokens;
}

TEST(MaskedSample, TheMostProbableIsAmongTheAllowed) {
  const std::vector<float> logits{1, 5, -2, 5, 3};
  const std::vector<int32_t> some{0b11001}, none{0};
  EXPECT_EQ(most_probable(logits, TokenMask(some)), 3);
  EXPECT_EQ(most_probable(logits, TokenMask(none)), -1);
}

TEST(MaskedSample, DrawsFollowTheSoftmaxOverTheAllowed) {
  const std::vector<float> logits{0, 4, -1, 2, 1};
  const std::vector<int32_t> mask{0b11101};  // the most probable token is not allowed
  const double temperature = 1.5;
  double total = 0;
  for (const size_t i : {0, 2, 3, 4}) total += std::exp(logits[i] / temperature);
  Random random(4, 2);
  std::vector<int> count(logits.size());
  const int draws = 40000;
  for (int i = 0; i < draws; ++i) ++count[draw(logits, mask, temperature, random)];
  EXPECT_EQ(count[1], 0);
  for (const size_t i : {0, 2, 3, 4}) {
    const double p = std::exp(logits[i] / temperature) / total;
    EXPECT_NEAR(count[i], draws * p, 5 * std::sqrt(draws * p * (1 - p))) << i;
  }
}

TEST(MaskedSample, WithEverythingAllowedTheDrawsAreTheSame) {
  std::vector<float> logits(70);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i));
  const std::vector<int32_t> all{-1, -1, -1};
  Random one(8, 1), other(8, 1);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(draw(logits, 0.7, one), draw(logits, all, 0.7, other));
}

TEST(MaskedSample, AForcedTokenTakesNoNumber) {
  const std::vector<float> logits{0, 0, 0};
  const std::vector<int32_t> forced{0b100}, none{0};
  Random random(0, 0);
  EXPECT_EQ(draw(logits, forced, 1, random), 2);
  EXPECT_EQ(draw(logits, none, 1, random), -1);
  EXPECT_EQ(random.position(), 0u);
}

TEST(Constraint, AnswersAreTheGreedyLabels) {
  Decoder decoder = tiny_decoder(false, true);
  const Answers prompts = make_prompts();
  const TokenTrie trie(kLabels, {kEnd, 4});
  TrieConstraint constraint(trie);
  const Answers answers = generate(decoder, prompts, settings_of(), {}, &constraint);
  for (size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(answers[i], greedy_label(decoder, prompts[i])) << i;
  EXPECT_NE(generate(decoder, prompts, settings_of(), {}), answers) << "free answers are others";
}

TEST(Constraint, EveryDrawnAnswerIsALabelAndEachIsDrawnAsOftenAsItIsProbable) {
  Decoder decoder = tiny_decoder();
  const std::vector<int32_t> prompt = random_tokens(6, 3);
  const int draws = 3000;
  const TokenTrie trie({{7, 9}, {7}, {20}}, {kEnd});
  TrieConstraint constraint(trie);
  std::map<std::vector<int32_t>, int> count;
  for (const auto& answer : generate(decoder, Answers(draws, prompt), settings_of(1), {}, &constraint)) ++count[answer];
  const auto share = [](const std::vector<float>& logits, int32_t one, int32_t other) {
    return 1 / (1 + std::exp(logits[other] - logits[one]));
  };
  std::vector<int32_t> seven = prompt;
  seven.push_back(7);
  const double first = share(next_logits(decoder, prompt), 7, 20);
  const double second = share(next_logits(decoder, seven), 9, kEnd);
  const std::map<std::vector<int32_t>, double> expected{
      {{7, 9}, first * second}, {{7}, first * (1 - second)}, {{20}, 1 - first}};
  int found = 0;
  for (const auto& [label, p] : expected) {
    EXPECT_NEAR(count[label], draws * p, 5 * std::sqrt(draws * p * (1 - p)) + 1);
    found += count[label];
  }
  EXPECT_EQ(found, draws);
}

TEST(Constraint, ForcedTokensEnterTheCache) {
  Decoder decoder = tiny_decoder();
  const Answers prompts = make_prompts();
  FunctionConstraint constraint([](int64_t, const std::vector<int32_t>& answer) {
    return answer.size() < 3 ? std::vector<int32_t>{static_cast<int32_t>(answer.size()) + 10} : every_token();
  });
  const Answers answers = generate(decoder, prompts, settings_of(), {}, &constraint);
  for (size_t i = 0; i < prompts.size(); ++i) {
    std::vector<int32_t> longer = prompts[i];
    for (const int32_t token : {10, 11, 12}) longer.push_back(token);
    GenerateSettings settings = settings_of();
    settings.max_new_tokens = 5;
    std::vector<int32_t> expected{10, 11, 12};
    const Answers rest = generate(decoder, {longer}, settings, {});
    expected.insert(expected.end(), rest[0].begin(), rest[0].end());
    EXPECT_EQ(answers[i], expected) << i;
  }
}

TEST(Constraint, EqualPromptsMayBeConstrainedDifferently) {
  Decoder decoder = tiny_decoder();
  const Answers prompts(4, random_tokens(20, 1));
  FunctionConstraint constraint([](int64_t prompt, const std::vector<int32_t>& answer) {
    return answer.empty() ? std::vector<int32_t>{static_cast<int32_t>(prompt) + 15} : std::vector<int32_t>{};
  });
  EXPECT_EQ(generate(decoder, prompts, settings_of(), {}, &constraint), (Answers{{15}, {16}, {17}, {18}}));
  EXPECT_EQ(constraint.calls, 2) << "an answer that may not go on needs no pass";
}

TEST(Constraint, CompanyChangesNoAnswer) {
  Decoder decoder = tiny_decoder();
  const Answers prompts = make_prompts();
  const TokenTrie trie(kLabels, {kEnd, 4});
  for (const double temperature : {0.0, 0.9}) {
    GenerateSettings settings = settings_of(temperature);
    TrieConstraint together(trie), alone(trie);
    const Answers answers = generate(decoder, prompts, settings, {}, &together);
    settings.max_rows = 1;
    EXPECT_EQ(generate(decoder, prompts, settings, {}, &alone), answers);
  }
}

TEST(Constraint, ThatAllowsEverythingChangesNothing) {
  Decoder decoder = tiny_decoder();
  const Answers prompts = make_prompts();
  for (const double temperature : {0.0, 0.9}) {
    FunctionConstraint constraint([](int64_t, const std::vector<int32_t>&) { return every_token(); });
    const Answers answers = generate(decoder, prompts, settings_of(temperature), {}, &constraint);
    EXPECT_EQ(answers, generate(decoder, prompts, settings_of(temperature), {}));
  }
}

TEST(Constraint, MayStopTheWholeCall) {
  Decoder decoder = tiny_decoder();
  FunctionConstraint constraint(
      [](int64_t, const std::vector<int32_t>&) -> std::vector<int32_t> { throw std::runtime_error("stop"); });
  EXPECT_THROW(generate(decoder, make_prompts(), settings_of(), {}, &constraint), std::runtime_error);
}

}  // namespace
}  // namespace luthier
