#include "luthier/generate/token_trie.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "luthier/base/error.h"
#include "luthier/generate/token_mask.h"

namespace luthier {
namespace {

using Tokens = std::vector<int32_t>;

Tokens tokens_of(TokenMask mask, size_t vocabulary) {
  Tokens tokens;
  find_allowed(mask, vocabulary, [&](int32_t token) {
    tokens.push_back(token);
    return false;
  });
  return tokens;
}

Tokens allowed(const TokenTrie& trie, int32_t node, size_t vocabulary = 100) {
  Tokens mask(static_cast<size_t>(mask_words(static_cast<int64_t>(vocabulary))));
  trie.allow(node, mask);
  return tokens_of(mask, vocabulary);
}

TEST(TokenMask, BitsBehindTheVocabularyMeanNothing) {
  const Tokens mask{-1, -1};
  EXPECT_EQ(tokens_of(mask, 33).size(), 33u);
  EXPECT_EQ(find_allowed(mask, 33, [](int32_t token) { return token > 32; }), -1);
  EXPECT_EQ(find_allowed(mask, 33, [](int32_t token) { return token > 30; }), 31);
  EXPECT_EQ(mask_words(32), 1);
  EXPECT_EQ(mask_words(33), 2);
}

TEST(TokenTrie, GoesOnWithTheTokensOfTheSequences) {
  const TokenTrie trie({{5, 31}, {5, 32, 7}, {64}}, {2, 0});
  EXPECT_EQ(allowed(trie, TokenTrie::kRoot), (Tokens{5, 64}));
  const int32_t five = trie.child(TokenTrie::kRoot, 5);
  EXPECT_EQ(allowed(trie, five), (Tokens{31, 32}));
  EXPECT_EQ(allowed(trie, trie.child(five, 31)), (Tokens{0, 2}));
  EXPECT_EQ(allowed(trie, trie.child(five, 32)), (Tokens{7}));
  EXPECT_EQ(trie.nodes(), 6);
}

TEST(TokenTrie, ASequenceMayBeTheBeginningOfAnother) {
  const TokenTrie trie({{5, 6}, {5}, {5, 6}}, {0});
  const int32_t five = trie.child(TokenTrie::kRoot, 5);
  EXPECT_EQ(allowed(trie, five), (Tokens{0, 6}));
  EXPECT_EQ(allowed(trie, trie.child(five, 6)), (Tokens{0}));
}

TEST(TokenTrie, AnEmptySequenceMayEndAtOnce) {
  const TokenTrie trie({{}, {4}}, {1});
  EXPECT_EQ(allowed(trie, TokenTrie::kRoot), (Tokens{1, 4}));
}

TEST(TokenTrie, WhatCannotBeIsRefused) {
  EXPECT_THROW(TokenTrie({}, {0}), InputError);
  EXPECT_THROW(TokenTrie({{1, -1}}, {0}), InputError);
  EXPECT_THROW(TokenTrie({{1}}, {-1}), InputError);
  EXPECT_THROW(TokenTrie({{1, 0}}, {0}), InputError);
  const TokenTrie trie({{64}}, {0});
  Tokens mask(2);
  EXPECT_THROW(trie.allow(TokenTrie::kRoot, mask), InputError) << "64 needs a third word";
  EXPECT_THROW(trie.child(TokenTrie::kRoot, 3), Error);
}

TEST(TrieConstraint, EachPromptHasAPlaceOfItsOwn) {
  const TokenTrie trie({{5, 6}, {7, 8}}, {0});
  TrieConstraint constraint(trie);
  const auto next = [&](std::vector<int64_t> prompts, Tokens tokens) {
    const at::Tensor masks = at::zeros({static_cast<int64_t>(prompts.size()), 1}, at::kInt);
    constraint.next(prompts, tokens, masks);
    std::vector<Tokens> rows;
    for (size_t i = 0; i < prompts.size(); ++i) rows.push_back(tokens_of({masks.data_ptr<int32_t>() + i, 1}, 32));
    return rows;
  };
  EXPECT_EQ(next({9, 2}, {-1, -1}), (std::vector<Tokens>{{5, 7}, {5, 7}}));
  EXPECT_EQ(next({9, 2}, {7, 5}), (std::vector<Tokens>{{8}, {6}}));
  EXPECT_EQ(next({2}, {6}), (std::vector<Tokens>{{0}}));
  EXPECT_EQ(next({9}, {8}), (std::vector<Tokens>{{0}}));
}

}  // namespace
}  // namespace luthier
