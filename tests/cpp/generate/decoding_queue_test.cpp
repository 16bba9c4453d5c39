#include "luthier/generate/decoding_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "../model/tiny_decoder.h"
#include "luthier/adapter/lora.h"
#include "luthier/base/error.h"
#include "luthier/generate/distribution.h"
#include "luthier/generate/generate.h"
#include "luthier/ops/token_logprob.h"

namespace luthier {
namespace {

using testing::hidden_states;
using testing::random_tokens;
using testing::tiny_decoder;

using Answers = std::vector<std::vector<int32_t>>;

// Prompts of which some share long prefixes, one is a prefix of another and one stands twice.
Answers make_prompts() {
  Answers prompts;
  const std::vector<int32_t> trunk = random_tokens(19, 1);
  for (uint64_t i = 0; i < 5; ++i) {
    std::vector<int32_t> prompt = i < 3 ? trunk : std::vector<int32_t>();
    for (int32_t token : random_tokens(1 + 2 * static_cast<int64_t>(i), 20 + i)) prompt.push_back(token);
    prompts.push_back(prompt);
  }
  prompts.push_back(trunk);
  prompts.push_back(prompts[1]);
  return prompts;
}

DecodingRequest request_of(std::vector<int32_t> prompt, int64_t tokens) {
  DecodingRequest request;
  request.prompt = std::move(prompt);
  request.max_new_tokens = tokens;
  return request;
}

// Steps until nothing is left to do, and adds the tokens to the answers by their number.
void finish_all(DecodingQueue& queue, std::map<int64_t, std::vector<int32_t>>& answers) {
  for (int steps = 0; !queue.idle(); ++steps) {
    ASSERT_LT(steps, 10000);
    for (const DecodedToken& token : queue.step()) {
      if (token.finish != Finish::end) answers[token.id].push_back(token.token);
    }
  }
}

Answers generated(Decoder& decoder, const Answers& prompts, int64_t tokens) {
  GenerateSettings settings;
  settings.max_new_tokens = tokens;
  return generate(decoder, prompts, settings, {});
}

TEST(DecodingQueue, AnswersAreThoseOfGenerateWhateverTheLimits) {
  Decoder decoder = tiny_decoder(false, true);
  attach_lora(decoder, {2, 4, {"all-linear"}, false}, 3);
  const Answers prompts = make_prompts(), wanted = generated(decoder, prompts, 9);
  for (const DecodingLimits limits : {DecodingLimits{}, DecodingLimits{2, 64, 512}, DecodingLimits{64, 4096, 1},
                                      DecodingLimits{3, 40, 7}, DecodingLimits{1, 40, 5}}) {
    DecodingQueue queue(decoder, limits);
    std::map<int64_t, std::vector<int32_t>> answers;
    for (const auto& prompt : prompts) queue.add(request_of(prompt, 9));
    finish_all(queue, answers);
    for (size_t i = 0; i < prompts.size(); ++i)
      EXPECT_EQ(answers[static_cast<int64_t>(i)], wanted[i]) << i << " with " << limits.max_rows << " rows";
  }
}

TEST(DecodingQueue, AnswersAreThoseOfGenerateWhateverTheFamily) {
  const Answers prompts = make_prompts();
  for (const auto& [name, config] : testing::varied_configs()) {
    SCOPED_TRACE(name);
    Decoder decoder = testing::random_decoder(config);
    const Answers wanted = generated(decoder, prompts, 9);
    DecodingQueue queue(decoder, {3, 64, 7});
    std::map<int64_t, std::vector<int32_t>> answers;
    for (const auto& prompt : prompts) queue.add(request_of(prompt, 9));
    finish_all(queue, answers);
    for (size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(answers[static_cast<int64_t>(i)], wanted[i]) << i;
  }
}

TEST(DecodingQueue, PromptsMayComeWhileOthersAreAnswered) {
  Decoder decoder = tiny_decoder();
  const Answers prompts = make_prompts(), wanted = generated(decoder, prompts, 12);
  DecodingQueue queue(decoder, {4, 120, 6});
  std::map<int64_t, std::vector<int32_t>> answers;
  for (const auto& prompt : prompts) {
    queue.add(request_of(prompt, 12));
    for (int i = 0; i < 3; ++i)
      for (const DecodedToken& token : queue.step()) answers[token.id].push_back(token.token);
  }
  finish_all(queue, answers);
  for (size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(answers[static_cast<int64_t>(i)], wanted[i]) << i;
}

TEST(DecodingQueue, CancellingChangesNoOtherAnswer) {
  Decoder decoder = tiny_decoder();
  const Answers prompts = make_prompts(), wanted = generated(decoder, prompts, 8);
  DecodingQueue queue(decoder, {4, 100, 6});
  std::map<int64_t, std::vector<int32_t>> answers;
  for (int round = 0; round < 4; ++round) {
    std::vector<int64_t> ids;
    for (const auto& prompt : prompts) ids.push_back(queue.add(request_of(prompt, 8)));
    for (int i = 0; i < round * 2; ++i)
      for (const DecodedToken& token : queue.step()) answers[token.id].push_back(token.token);
    queue.cancel(ids[0]);
    queue.cancel(ids[5]);
    queue.cancel(ids[5]);
    const size_t before = answers[ids[0]].size();
    finish_all(queue, answers);
    EXPECT_EQ(answers[ids[0]].size(), before);
    for (const size_t i : {1, 2, 3, 4, 6}) EXPECT_EQ(answers[ids[i]], wanted[i]) << round << " " << i;
  }
  queue.cancel(12345);
}

TEST(DecodingQueue, WhatIsInTheCacheIsNotComputedAgain) {
  Decoder decoder = tiny_decoder();
  DecodingQueue queue(decoder, {});
  std::map<int64_t, std::vector<int32_t>> answers;
  std::vector<int32_t> prompt = random_tokens(30, 4);
  const int64_t first = queue.add(request_of(prompt, 6));
  finish_all(queue, answers);
  EXPECT_EQ(queue.computed_tokens(), 30);
  // A conversation goes on: the answer but for its newest token is in the cache too.
  for (const int32_t token : answers[first]) prompt.push_back(token);
  prompt.push_back(3);
  const int64_t second = queue.add(request_of(prompt, 6));
  finish_all(queue, answers);
  EXPECT_EQ(queue.computed_tokens(), 32);
  EXPECT_EQ(queue.reused_tokens(), 35);
  EXPECT_EQ(answers[second], generated(decoder, {prompt}, 6)[0]);
}

TEST(DecodingQueue, DrawsDependOnTheSeedAlone) {
  Decoder decoder = tiny_decoder();
  const std::vector<int32_t> prompt = random_tokens(5, 1);
  GenerateSettings settings;
  settings.max_new_tokens = 20;
  settings.temperature = 1.5;
  settings.seed = 7;
  const std::vector<int32_t> wanted = generate(decoder, {prompt}, settings, {})[0];
  DecodingQueue queue(decoder, {});
  std::map<int64_t, std::vector<int32_t>> answers;
  for (const uint64_t seed : {7, 8, 7}) {
    DecodingRequest request = request_of(prompt, 20);
    request.temperature = 1.5;
    request.seed = seed;
    queue.add(request);
  }
  finish_all(queue, answers);
  EXPECT_EQ(answers[0], wanted);
  EXPECT_EQ(answers[2], wanted);
  EXPECT_NE(answers[1], wanted);
}

TEST(DecodingQueue, ANarrowNucleusIsGreedy) {
  Decoder decoder = tiny_decoder();
  const std::vector<int32_t> prompt = random_tokens(5, 1);
  DecodingQueue queue(decoder, {});
  DecodingRequest request = request_of(prompt, 15);
  request.temperature = 3;
  request.top_p = 1e-6;
  queue.add(request);
  std::map<int64_t, std::vector<int32_t>> answers;
  finish_all(queue, answers);
  EXPECT_EQ(answers[0], generated(decoder, {prompt}, 15)[0]);
}

TEST(DecodingQueue, LogProbabilitiesAreTheModels) {
  Decoder decoder = tiny_decoder();
  const std::vector<int32_t> prompt = random_tokens(6, 9);
  at::Tensor logits = at::empty({1, 23}, at::kFloat);
  logits_forward(hidden_states(decoder, prompt).narrow(0, 5, 1), decoder.head.value, decoder.config.logit_map(),
                 logits);
  const at::Tensor wanted = logits[0].to(at::kDouble).log_softmax(0);
  DecodingQueue queue(decoder, {});
  DecodingRequest request = request_of(prompt, 1);
  request.logprobs = 23;
  request.temperature = 0.7;
  request.top_p = 0.5;
  queue.add(request);
  std::vector<int32_t> allowed{1 << 4 | 1 << 11};
  queue.allow(0, allowed);
  const std::vector<DecodedToken> tokens = queue.step();
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_TRUE(tokens[0].token == 4 || tokens[0].token == 11);
  EXPECT_NEAR(tokens[0].logprob, wanted[tokens[0].token].item<double>(), 1e-5);
  ASSERT_EQ(tokens[0].likely.size(), 23u);
  for (const auto& [token, logprob] : tokens[0].likely) EXPECT_NEAR(logprob, wanted[token].item<double>(), 1e-5);
  EXPECT_EQ(tokens[0].finish, Finish::length);
}

TEST(DecodingQueue, AllowedTokensHoldForOneTokenOfOneAnswer) {
  Decoder decoder = tiny_decoder();
  const std::vector<int32_t> prompt = random_tokens(6, 9);
  const std::vector<int32_t> wanted = generated(decoder, {prompt}, 5)[0];
  const int32_t other = wanted[0] == 3 ? 4 : 3;
  DecodingQueue queue(decoder, {});
  const int64_t free = queue.add(request_of(prompt, 5)), bound = queue.add(request_of(prompt, 5));
  queue.allow(bound, {1 << other});
  std::map<int64_t, std::vector<int32_t>> answers;
  finish_all(queue, answers);
  EXPECT_EQ(answers[free], wanted);
  EXPECT_EQ(answers[bound][0], other);
  std::vector<int32_t> further = prompt;
  further.push_back(other);
  const std::vector<int32_t> rest = generated(decoder, {further}, 4)[0];
  EXPECT_EQ(std::vector<int32_t>(answers[bound].begin() + 1, answers[bound].end()), rest);

  const int64_t stuck = queue.add(request_of(prompt, 5));
  queue.allow(stuck, {0});
  const std::vector<DecodedToken> tokens = queue.step();
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].finish, Finish::nothing_allowed);
  EXPECT_TRUE(queue.idle());
  EXPECT_THROW(queue.allow(0, {}), InputError);
}

TEST(DecodingQueue, AnEndTokenIsToldAndEnds) {
  Decoder decoder = tiny_decoder();
  const std::vector<int32_t> prompt = random_tokens(5, 1), whole = generated(decoder, {prompt}, 10)[0];
  DecodingQueue queue(decoder, {});
  DecodingRequest request = request_of(prompt, 10);
  request.end_tokens = {whole[4]};
  queue.add(request);
  std::vector<DecodedToken> tokens;
  while (!queue.idle())
    for (const DecodedToken& token : queue.step()) tokens.push_back(token);
  const auto first = std::find(whole.begin(), whole.end(), whole[4]) - whole.begin();
  ASSERT_EQ(static_cast<int64_t>(tokens.size()), first + 1);
  EXPECT_EQ(tokens.back().finish, Finish::end);
}

TEST(DecodingQueue, NoPromptWaitsForEver) {
  Decoder decoder = tiny_decoder();
  DecodingQueue queue(decoder, {8, 64, 512});
  // A large one in the midst of small ones, which would go on taking the room.
  std::map<int64_t, std::vector<int32_t>> answers;
  for (int i = 0; i < 4; ++i) queue.add(request_of(random_tokens(4, static_cast<uint64_t>(i)), 10));
  const int64_t large = queue.add(request_of(random_tokens(50, 9), 14));
  for (int i = 0; i < 30; ++i) {
    queue.add(request_of(random_tokens(4, static_cast<uint64_t>(i)), 10));
    for (const DecodedToken& token : queue.step()) answers[token.id].push_back(token.token);
  }
  EXPECT_EQ(answers[large].size(), 14u);
}

TEST(DecodingQueue, WhatCannotBeIsRefused) {
  Decoder decoder = tiny_decoder();
  EXPECT_THROW(DecodingQueue(decoder, {0, 100, 10}), InputError);
  EXPECT_THROW(DecodingQueue(decoder, {1, 0, 10}), InputError);
  EXPECT_THROW(DecodingQueue(decoder, {1, 100, 0}), InputError);
  DecodingQueue queue(decoder, {1, 100, 10});
  EXPECT_THROW(queue.add(request_of({}, 1)), InputError);
  EXPECT_THROW(queue.add(request_of({23}, 1)), InputError);
  EXPECT_THROW(queue.add(request_of({-1}, 1)), InputError);
  EXPECT_THROW(queue.add(request_of({1}, 0)), InputError);
  EXPECT_THROW(queue.add(request_of({1}, 100)), InputError) << "more than the cache holds";
  EXPECT_THROW(queue.add(request_of({1}, std::numeric_limits<int64_t>::max())), InputError);
  DecodingRequest request = request_of({1}, 1);
  for (const double temperature : {-1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    request.temperature = temperature;
    EXPECT_THROW(queue.add(request), InputError) << temperature;
  }
  request.temperature = 0;
  for (const double top_p : {0.0, -1.0, 1.1, static_cast<double>(NAN)}) {
    request.top_p = top_p;
    EXPECT_THROW(queue.add(request), InputError) << top_p;
  }
  request.top_p = 1;
  request.logprobs = 24;
  EXPECT_THROW(queue.add(request), InputError);
  EXPECT_TRUE(queue.idle());
  EXPECT_TRUE(queue.step().empty());
}

}  // namespace
}  // namespace luthier
