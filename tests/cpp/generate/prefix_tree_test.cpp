#include "luthier/generate/prefix_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "luthier/base/random.h"

namespace luthier {
namespace {

using Tokens = std::vector<int32_t>;

Tokens range(int32_t begin, int32_t end) {
  Tokens tokens(end - begin);
  std::iota(tokens.begin(), tokens.end(), begin);
  return tokens;
}

Tokens joined(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void compute(PrefixNode* leaf) {
  for (PrefixNode* node : PrefixTree::path(leaf)) node->computed = node->size();
}

Tokens tokens_of(PrefixNode* leaf) {
  Tokens tokens;
  for (PrefixNode* node : PrefixTree::path(leaf)) {
    EXPECT_EQ(node->position, static_cast<int32_t>(tokens.size()));
    tokens = joined(tokens, node->tokens);
  }
  return tokens;
}

TEST(PrefixTree, WhatPromptsBeginWithIsThereOnce) {
  PrefixTree tree(200);
  const Tokens a = range(0, 40), b = joined(range(0, 30), {90, 91});
  PrefixNode* first = tree.add(a, 5);
  PrefixNode* second = tree.add(b, 5);
  EXPECT_EQ(tokens_of(first), a);
  EXPECT_EQ(tokens_of(second), b);
  EXPECT_EQ(first->parent, second->parent);
  EXPECT_EQ(first->parent->size(), 30);
  EXPECT_EQ(first->begin, 30) << "a leaf that is split keeps its place";
  EXPECT_EQ(tree.free_rows(), 200 - 40 - 5 - 2 - 5);
  const std::vector<KeyRange> ranges = PrefixTree::ancestors(*second);
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].begin, 0);
  EXPECT_EQ(ranges[0].end, 30);
}

TEST(PrefixTree, AShortPrefixIsNotSplitOff) {
  PrefixTree tree(200);
  PrefixNode* first = tree.add(range(0, 40), 1);
  PrefixNode* second = tree.add(joined(range(0, 15), {90}), 1);
  EXPECT_EQ(first->size(), 40);
  EXPECT_EQ(second->size(), 16);
}

TEST(PrefixTree, TheLastTokenIsAlwaysTheLeafs) {
  PrefixTree tree(200);
  const Tokens prompt = range(0, 20);
  PrefixNode* first = tree.add(prompt, 2);
  compute(first);
  PrefixNode* again = tree.add(prompt, 2);
  EXPECT_EQ(tokens_of(again), prompt);
  EXPECT_EQ(again->tokens, (Tokens{19}));
  EXPECT_EQ(again->computed, 0);
  EXPECT_EQ(again->parent->computed, 19);
  EXPECT_EQ(tokens_of(first), prompt);
}

TEST(PrefixTree, AnAnswerStaysForThePromptThatGoesOnFromIt) {
  PrefixTree tree(100);
  const Tokens prompt = range(0, 20), answer{50, 51, 52};
  PrefixNode* leaf = tree.add(prompt, 10);
  compute(leaf);
  tree.finish(leaf, answer, 10);
  EXPECT_EQ(tree.free_rows(), 100 - 23);
  PrefixNode* next = tree.add(joined(joined(prompt, answer), {60, 61}), 1);
  EXPECT_EQ(next->tokens, (Tokens{60, 61}));
  EXPECT_EQ(next->position, 23);
  const std::vector<KeyRange> ranges = PrefixTree::ancestors(*next);
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[1].begin, ranges[0].end) << "an answer stands right behind its prompt";
}

TEST(PrefixTree, TheOldestUnusedMakesRoom) {
  PrefixTree tree(60);
  PrefixNode* old = tree.add(range(0, 20), 1);
  compute(old);
  PrefixNode* used = tree.add(range(100, 120), 1);
  compute(used);
  tree.finish(old, {}, 1);
  EXPECT_EQ(tree.add(range(200, 230), 10), nullptr) << "even without the old one there is no room";
  PrefixNode* fresh = tree.add(range(200, 218), 1);
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(tokens_of(used), range(100, 120)) << "what a sequence uses stays";
  EXPECT_EQ(tree.free_rows(), 60 - 21 - 19);
}

TEST(PrefixTree, ThePrefixOfANewPromptIsNotDroppedForIt) {
  PrefixTree tree(40);
  PrefixNode* leaf = tree.add(range(0, 20), 1);
  compute(leaf);
  tree.finish(leaf, {}, 1);
  EXPECT_EQ(tree.add(joined(range(0, 20), range(50, 60)), 15), nullptr);
  PrefixNode* next = tree.add(joined(range(0, 20), range(50, 60)), 10);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->size(), 10);
}

TEST(PrefixTree, WhatWasNeverComputedIsNotKept) {
  PrefixTree tree(100);
  PrefixNode* leaf = tree.add(range(0, 30), 5);
  PrefixNode* behind = tree.add(joined(range(0, 30), range(50, 60)), 5);
  EXPECT_EQ(behind->parent, leaf);
  leaf->computed = 12;
  tree.finish(leaf, {}, 5);
  EXPECT_EQ(leaf->size(), 30) << "another prompt goes on from it";
  tree.finish(behind, {}, 5);
  EXPECT_EQ(tree.free_rows(), 100 - 12);
  EXPECT_EQ(tree.add(range(0, 30), 1)->position, 12);
}

TEST(PrefixTree, NoRowIsLostOrUsedTwiceInAnyOrderOfCalls) {
  Random random(11, 0);
  PrefixTree tree(300);
  struct Held {
    PrefixNode* leaf;
    Tokens prompt;
    int64_t room;
  };
  std::vector<Held> held;
  for (int i = 0; i < 4000; ++i) {
    if (held.size() < 6 && random.below(2) == 0) {
      Tokens prompt;
      for (uint32_t part = 0; part <= random.below(4); ++part) {
        const auto from = static_cast<int32_t>(40 * random.below(3));
        prompt = joined(prompt, range(from, from + 1 + static_cast<int32_t>(random.below(30))));
      }
      const int64_t room = 1 + random.below(20);
      PrefixNode* leaf = tree.add(prompt, room);
      if (leaf == nullptr) continue;
      held.push_back({leaf, prompt, room});
    } else if (!held.empty()) {
      const size_t which = random.below(static_cast<uint32_t>(held.size()));
      Held one = held[which];
      held.erase(held.begin() + static_cast<int64_t>(which));
      Tokens answer;
      if (random.below(3) > 0) {
        compute(one.leaf);
        answer = range(200, 200 + static_cast<int32_t>(random.below(static_cast<uint32_t>(one.room))));
      }
      tree.finish(one.leaf, answer, one.room);
    }
    std::vector<int> uses(300);
    std::vector<PrefixNode*> seen;
    for (const Held& one : held) {
      ASSERT_EQ(tokens_of(one.leaf), one.prompt);
      for (PrefixNode* node : PrefixTree::path(one.leaf)) {
        if (std::find(seen.begin(), seen.end(), node) != seen.end()) continue;
        seen.push_back(node);
        for (int32_t row = 0; row < node->size(); ++row) ++uses.at(node->begin + row);
      }
      for (int64_t row = 0; row < one.room; ++row) ++uses.at(one.leaf->begin + one.leaf->size() + row);
    }
    ASSERT_LE(*std::max_element(uses.begin(), uses.end()), 1);
  }
  for (const Held& one : held) tree.finish(one.leaf, {}, one.room);
  EXPECT_NE(tree.add(Tokens(150, 999), 150), nullptr) << "all rows can be had again";
}

}  // namespace
}  // namespace luthier
