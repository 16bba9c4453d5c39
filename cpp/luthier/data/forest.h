// Token sequences merged by their common prefixes: the structure behind a batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace luthier {

/// A run of tokens of the forest: tokens [from, to) of the sequence `source`.
struct ForestNode {
  int32_t parent = -1;
  int32_t source = 0;
  int32_t from = 0, to = 0;
};

struct Forest {
  std::vector<ForestNode> nodes;  // parents before children; a tree's nodes stand together
  std::vector<int32_t> leaf;      // [sequences]: the node in which a sequence ends (-1 for an empty sequence)
};

/// Merges prefixes of at least `minimum_shared` tokens beyond those already merged (0: merge nothing). Sequences are
/// sorted by their tokens, ties by their index, so the result does not depend on chance. A sequence that ends inside a
/// run that others share ends at that node.
Forest build_forest(std::span<const std::span<const int32_t>> sequences, int32_t minimum_shared);

}  // namespace luthier
