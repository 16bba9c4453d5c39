#include "luthier/data/forest.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "luthier/base/random.h"

namespace luthier {
namespace {

using Sequence = std::vector<int32_t>;

Forest build(const std::vector<Sequence>& sequences, int32_t minimum_shared) {
  return build_forest(std::vector<std::span<const int32_t>>(sequences.begin(), sequences.end()), minimum_shared);
}

// The tokens from the root to the node in which a sequence ends.
Sequence read_back(const Forest& forest, const std::vector<Sequence>& sequences, size_t index) {
  Sequence reversed;
  for (int32_t n = forest.leaf[index]; n >= 0; n = forest.nodes[n].parent) {
    const ForestNode& node = forest.nodes[n];
    for (int32_t i = node.to; i-- > node.from;) reversed.push_back(sequences[node.source][i]);
  }
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

int64_t tokens_of(const Forest& forest) {
  int64_t count = 0;
  for (const ForestNode& node : forest.nodes) count += node.to - node.from;
  return count;
}

TEST(Forest, BranchesOfDepthThreeAreComputedOnce) {
  const std::vector<Sequence> sequences{{1, 1, 2, 2, 3, 3, 9}, {1, 1, 2, 2, 3, 3, 8}, {1, 1, 2, 2, 4}, {1, 1, 5}};
  const Forest forest = build(sequences, 2);
  EXPECT_EQ(tokens_of(forest), 2 + 2 + 2 + 1 + 1 + 1 + 1);
  int32_t depth = 0;
  for (int32_t n = forest.leaf[0]; n >= 0; n = forest.nodes[n].parent) ++depth;
  EXPECT_EQ(depth, 4);
  for (size_t i = 0; i < sequences.size(); ++i) EXPECT_EQ(read_back(forest, sequences, i), sequences[i]);
}

TEST(Forest, EqualSequencesEndAtOneNode) {
  const Forest forest = build({{1, 2, 3}, {7, 8}, {1, 2, 3}}, 2);
  EXPECT_EQ(forest.leaf[0], forest.leaf[2]);
  EXPECT_EQ(tokens_of(forest), 5);
}

TEST(Forest, APrefixOfAnotherSequenceEndsAtTheNodeThatTheyShare) {
  const Forest forest = build({{1, 2, 3, 4}, {1, 2}}, 2);
  ASSERT_EQ(forest.nodes.size(), 2u);
  EXPECT_EQ(forest.leaf[1], 0);
  EXPECT_EQ(forest.nodes[forest.leaf[0]].parent, 0);
  EXPECT_EQ(tokens_of(forest), 4);
}

TEST(Forest, ShorterCommonPrefixesAreNotMerged) {
  const std::vector<Sequence> sequences{{1, 2, 3, 4}, {1, 2, 3, 5}};
  EXPECT_EQ(tokens_of(build(sequences, 3)), 5);
  EXPECT_EQ(tokens_of(build(sequences, 4)), 8);
  EXPECT_EQ(tokens_of(build(sequences, 0)), 8) << "0 merges nothing";
}

TEST(Forest, AnEmptySequenceHasNoNode) {
  const Forest forest = build({{}, {4, 5}, {}}, 1);
  EXPECT_EQ(forest.leaf, (std::vector<int32_t>{-1, 0, -1}));
}

TEST(Forest, EverySequenceCanBeReadBack) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed, 1);
    const int32_t minimum_shared = static_cast<int32_t>(random.below(5));
    std::vector<Sequence> sequences(1 + random.below(12));
    for (Sequence& sequence : sequences) {
      sequence.resize(random.below(14));
      for (int32_t& token : sequence) token = static_cast<int32_t>(random.below(2));
    }
    const Forest forest = build(sequences, minimum_shared);
    int64_t total = 0;
    for (size_t i = 0; i < sequences.size(); ++i) {
      ASSERT_EQ(read_back(forest, sequences, i), sequences[i]) << "seed " << seed << ", sequence " << i;
      total += static_cast<int64_t>(sequences[i].size());
    }
    EXPECT_LE(tokens_of(forest), total);
    if (minimum_shared == 0) {
      EXPECT_EQ(tokens_of(forest), total);
    }
    for (size_t n = 0; n < forest.nodes.size(); ++n) {
      const ForestNode& node = forest.nodes[n];
      EXPECT_LT(node.parent, static_cast<int32_t>(n)) << "parents come first";
      EXPECT_LT(node.from, node.to);
      EXPECT_EQ(node.from, node.parent < 0 ? 0 : forest.nodes[node.parent].to);
    }
  }
}

TEST(Forest, MinimumOfOneIsTheSmallestForest) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed, 2);
    std::vector<Sequence> sequences(2 + random.below(8));
    std::vector<Sequence> prefixes;
    for (Sequence& sequence : sequences) {
      sequence.resize(1 + random.below(9));
      for (int32_t& token : sequence) token = static_cast<int32_t>(random.below(2));
      for (size_t n = 1; n <= sequence.size(); ++n) prefixes.emplace_back(sequence.begin(), sequence.begin() + n);
    }
    std::sort(prefixes.begin(), prefixes.end());
    prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
    EXPECT_EQ(tokens_of(build(sequences, 1)), static_cast<int64_t>(prefixes.size())) << "one token per prefix";
  }
}

}  // namespace
}  // namespace luthier
