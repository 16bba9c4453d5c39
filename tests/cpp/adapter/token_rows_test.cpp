#include "luthier/adapter/token_rows.h"

#include <gtest/gtest.h>

#include "../model/tiny_decoder.h"
#include "luthier/adapter/lora.h"
#include "refusal.h"

namespace luthier {
namespace {

using testing::hidden_states;
using testing::refusal;
using testing::tiny_decoder;
using testing::uniform;

constexpr const char* kEmbeddingRows = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta";
constexpr const char* kHeadRows = "base_model.model.lm_head.token_adapter.trainable_tokens_delta";

TEST(TokenRows, NewTokensStartAsTheMeanOfAllOthers) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const bool tied : {true, false}) {
      Decoder decoder = tiny_decoder(tied, false, type);
      const at::Tensor before = decoder.embedding.value.clone(), head = decoder.head.value.clone();
      add_tokens(decoder, {23, 3});
      EXPECT_EQ(decoder.config.vocabulary_size, 26);
      EXPECT_EQ(decoder.embedding.value.is_same(decoder.head.value), tied);
      for (const auto& [now, old] : {std::pair{decoder.embedding.value, before}, {decoder.head.value, head}}) {
        EXPECT_EQ(now.size(0), 26);
        EXPECT_EQ(now.scalar_type(), type);
        EXPECT_TRUE(now.narrow(0, 0, 23).equal(old));
        const at::Tensor mean = old.to(at::kDouble).mean(0).to(type);
        for (int64_t row = 23; row < 26; ++row) EXPECT_TRUE(now[row].equal(mean));
      }
      EXPECT_EQ(hidden_states(decoder, {1, 24, 25}).size(0), 3);
    }
  }
}

TEST(TokenRows, SpareRowsAreUsedFirst) {
  Decoder decoder = tiny_decoder();
  const at::Tensor before = decoder.embedding.value.clone();
  add_tokens(decoder, {20, 2});
  EXPECT_EQ(decoder.config.vocabulary_size, 23);
  EXPECT_TRUE(decoder.embedding.value[22].equal(before[22])) << "what is still to spare stays";
  const at::Tensor mean = before.narrow(0, 0, 20).to(at::kDouble).mean(0).to(at::kFloat);
  EXPECT_TRUE(decoder.embedding.value[20].equal(mean) && decoder.embedding.value[21].equal(mean));
  add_tokens(decoder, {22, 3});
  EXPECT_EQ(decoder.config.vocabulary_size, 25);
}

TEST(TokenRows, ValuesOfAFileAreReadAndMerged) {
  for (const bool tied : {true, false}) {
    Decoder decoder = tiny_decoder(tied);
    add_tokens(decoder, {23, 2});
    const LoraSettings settings{2, 4, {"q_proj"}, false};
    std::vector<Parameter> parameters = attach_lora(decoder, settings, 1);
    std::map<std::string, at::Tensor> tensors{{kEmbeddingRows, uniform({2, 12}, 5)}};
    if (!tied) tensors[kHeadRows] = uniform({2, 12}, 6);
    for (Parameter& rows : attach_token_rows(decoder, {23, 2}, tensors)) parameters.push_back(rows);
    EXPECT_EQ(parameters.size(), tied ? 5u : 6u);
    EXPECT_TRUE(decoder.embedding.value.narrow(0, 23, 2).equal(tensors.at(kEmbeddingRows)));
    EXPECT_TRUE(decoder.head.value.narrow(0, 23, 2).equal(tensors.at(tied ? kEmbeddingRows : kHeadRows)));
    const at::Tensor merged = merged_weight(decoder, parameters, settings, "model.embed_tokens.weight");
    EXPECT_TRUE(merged.equal(decoder.embedding.value));
    detach_token_rows(decoder);
    EXPECT_EQ(decoder.trained_tokens.count, 0);
  }
}

TEST(TokenRows, WhatDoesNotFitIsNamedAndChangesNothing) {
  Decoder decoder = tiny_decoder(true);
  const at::Tensor before = decoder.embedding.value.clone();
  EXPECT_NE(refusal([&] { add_tokens(decoder, {24, 1}); }).find("first token is 24"), std::string::npos);
  EXPECT_NE(refusal([&] { add_tokens(decoder, {0, 1}); }), "");
  EXPECT_NE(refusal([&] { add_tokens(decoder, {23, 0}); }).find("number of tokens is 0"), std::string::npos);
  EXPECT_NE(refusal([&] { attach_token_rows(decoder, {22, 2}); }), "");
  std::map<std::string, at::Tensor> tensors;
  const auto attach = [&] { attach_token_rows(decoder, {21, 2}, tensors); };
  EXPECT_NE(refusal(attach).find("is missing"), std::string::npos);
  tensors[kEmbeddingRows] = uniform({3, 12}, 5);
  EXPECT_NE(refusal(attach).find("has shape [3, 12]"), std::string::npos);
  tensors[kEmbeddingRows] = uniform({2, 12}, 5);
  tensors[kHeadRows] = uniform({2, 12}, 5);
  EXPECT_NE(refusal(attach).find("tied"), std::string::npos);
  EXPECT_TRUE(decoder.embedding.value.equal(before));
  EXPECT_EQ(decoder.trained_tokens.count, 0);
  tensors.erase(kHeadRows);
  EXPECT_EQ(refusal(attach), "");
}

}  // namespace
}  // namespace luthier
