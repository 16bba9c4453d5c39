#include "luthier/generate/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "../model/tiny_decoder.h"
#include "luthier/adapter/lora.h"
#include "luthier/base/error.h"
#include "luthier/generate/sample.h"
#include "luthier/ops/token_logprob.h"

namespace luthier {
namespace {

using testing::hidden_states;
using testing::random_tokens;
using testing::tiny_decoder;
using testing::uniform;

using Answers = std::vector<std::vector<int32_t>>;

GenerateSettings settings_of(int64_t tokens) {
  GenerateSettings settings;
  settings.max_new_tokens = tokens;
  return settings;
}

// Prompts of which some share long prefixes, one is a prefix of another and one stands twice.
Answers make_prompts() {
  Answers prompts;
  const std::vector<int32_t> trunk = random_tokens(19, 1);
  for (uint64_t i = 0; i < 5; ++i) {
    std::vector<int32_t> prompt = i < 3 ? trunk : std::vector<int32_t>();
    for (int32_t token : random_tokens(1 + 2 * i, 20 + i)) prompt.push_back(token);
    prompts.push_back(prompt);
  }
  prompts.push_back(trunk);
  prompts.push_back(prompts[1]);
  return prompts;
}

// Greedy decoding without a cache: the whole sequence is computed anew for each token.
std::vector<int32_t> greedy_without_cache(Decoder& decoder, std::vector<int32_t> tokens, int64_t count) {
  std::vector<int32_t> answer;
  while (static_cast<int64_t>(answer.size()) < count) {
    const at::Tensor last = hidden_states(decoder, tokens).narrow(0, static_cast<int64_t>(tokens.size()) - 1, 1);
    at::Tensor logits = at::empty({1, decoder.config.vocabulary_size}, at::kFloat);
    logits_forward(last, decoder.head.value, 1, logits);
    answer.push_back(most_probable({logits.const_data_ptr<float>(), static_cast<size_t>(logits.size(1))}));
    tokens.push_back(answer.back());
  }
  return answer;
}

TEST(Generate, TheCacheChangesNothing) {
  Decoder decoder = tiny_decoder(false, true);
  attach_lora(decoder, {2, 4, {"all-linear"}, false}, 3);
  const Answers prompts = make_prompts();
  const Answers answers = generate(decoder, prompts, settings_of(9), {});
  ASSERT_EQ(answers.size(), prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(answers[i], greedy_without_cache(decoder, prompts[i], 9)) << i;
}

TEST(Generate, CompanyChangesNoAnswer) {
  Decoder decoder = tiny_decoder();
  const Answers prompts = make_prompts();
  for (const double temperature : {0.0, 0.8}) {
    GenerateSettings settings = settings_of(12);
    settings.temperature = temperature;
    settings.seed = 5;
    const Answers together = generate(decoder, prompts, settings, {});
    settings.max_rows = 2;
    EXPECT_EQ(generate(decoder, prompts, settings, {}), together);
    settings.max_rows = 64;
    settings.cache_tokens = 1;
    EXPECT_EQ(generate(decoder, prompts, settings, {}), together) << "a prompt at a time";
  }
}

TEST(Generate, DrawsDependOnTheSeedAndThePromptsPlace) {
  Decoder decoder = tiny_decoder();
  GenerateSettings settings = settings_of(20);
  settings.temperature = 1.5;
  const Answers prompts(3, random_tokens(5, 1));
  const Answers answers = generate(decoder, prompts, settings, {});
  EXPECT_NE(answers[0], answers[1]) << "the same prompt in another place has draws of its own";
  EXPECT_EQ(generate(decoder, {prompts[0]}, settings, {})[0], answers[0]);
  settings.seed = 1;
  EXPECT_NE(generate(decoder, prompts, settings, {}), answers);
}

TEST(Generate, FirstTokensAreDistributedAsTheSoftmax) {
  Decoder decoder = tiny_decoder();
  const std::vector<int32_t> prompt = random_tokens(4, 3);
  const int draws = 4000;
  GenerateSettings settings = settings_of(1);
  settings.temperature = 1;
  std::vector<int> count(23);
  for (const auto& answer : generate(decoder, Answers(draws, prompt), settings, {})) ++count[answer.at(0)];
  at::Tensor logits = at::empty({1, 23}, at::kFloat);
  logits_forward(hidden_states(decoder, prompt).narrow(0, 3, 1), decoder.head.value, 1, logits);
  const at::Tensor probability = logits[0].to(at::kDouble).softmax(0);
  for (int64_t token = 0; token < 23; ++token) {
    const double p = probability[token].item<double>();
    EXPECT_NEAR(count[token], draws * p, 5 * std::sqrt(draws * p * (1 - p)) + 1) << token;
  }
}

TEST(Generate, AnAnswerStopsBeforeAnEndToken) {
  Decoder decoder = tiny_decoder();
  const Answers prompts = make_prompts();
  const Answers whole = generate(decoder, prompts, settings_of(10), {});
  GenerateSettings settings = settings_of(10);
  settings.end_tokens = {whole[0][3], whole[2][0]};
  const Answers cut = generate(decoder, prompts, settings, {});
  for (size_t i = 0; i < whole.size(); ++i) {
    const auto end =
        std::find_first_of(whole[i].begin(), whole[i].end(), settings.end_tokens.begin(), settings.end_tokens.end());
    EXPECT_EQ(cut[i], std::vector<int32_t>(whole[i].begin(), end)) << i;
  }
  EXPECT_TRUE(cut[2].empty());
}

TEST(Generate, ProgressIsToldAndMayStop) {
  Decoder decoder = tiny_decoder();
  const Answers prompts = make_prompts();
  std::vector<int64_t> told;
  generate(decoder, prompts, settings_of(4), [&](int64_t finished) { told.push_back(finished); });
  ASSERT_FALSE(told.empty());
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), static_cast<int64_t>(prompts.size()));
  const auto stop = [](int64_t) { throw std::runtime_error("stop"); };
  EXPECT_THROW(generate(decoder, prompts, settings_of(4), stop), std::runtime_error);
}

TEST(Generate, WhatCannotBeIsRefused) {
  Decoder decoder = tiny_decoder();
  EXPECT_THROW(generate(decoder, {{}}, settings_of(1), {}), InputError);
  EXPECT_THROW(generate(decoder, {{23}}, settings_of(1), {}), InputError);
  EXPECT_THROW(generate(decoder, {{-1}}, settings_of(1), {}), InputError);
  GenerateSettings settings = settings_of(1);
  settings.temperature = -1;
  EXPECT_THROW(generate(decoder, {{1}}, settings, {}), InputError);
  settings.temperature = NAN;
  EXPECT_THROW(generate(decoder, {{1}}, settings, {}), InputError);
  EXPECT_THROW(generate(decoder, {{1}}, settings_of(-1), {}), InputError);
  EXPECT_TRUE(generate(decoder, {}, settings_of(3), {}).empty());
  EXPECT_EQ(generate(decoder, {{1}}, settings_of(0), {}), Answers{{}});
}

}  // namespace
}  // namespace luthier
