// The tokens whose keys and values are in a cache, as a tree of runs: what prompts begin with alike is there once, and
// stays for later prompts until its rows are needed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "luthier/generate/free_rows.h"
#include "luthier/ops/attention_plan.h"

namespace luthier {

/// A run of tokens behind those of its parent, in consecutive rows of the cache.
struct PrefixNode {
  PrefixNode* parent = nullptr;
  std::vector<int32_t> tokens;
  int32_t begin = 0;       // cache row of its first token
  int32_t position = 0;    // depth of its first token
  int32_t computed = 0;    // how many of its tokens have keys and values
  int64_t users = 0;       // sequences that end here
  uint64_t last_used = 0;  // by a counter of the tree
  std::vector<std::unique_ptr<PrefixNode>> children;

  int32_t size() const { return static_cast<int32_t>(tokens.size()); }
};

class PrefixTree {
 public:
  /// Over a cache of `rows` rows.
  explicit PrefixTree(int64_t rows);
  PrefixTree(const PrefixTree&) = delete;  // nodes point to its root
  PrefixTree& operator=(const PrefixTree&) = delete;

  /// A new leaf for the last tokens of a prompt, behind what the tree has of it already, with `room` free rows behind
  /// its own; nullptr where the cache has no room for it now. At least the last token is the leaf's, and not computed.
  /// Drops what was used longest ago and is not in use. Call finish for each leaf.
  PrefixNode* add(std::span<const int32_t> prompt, int64_t room);

  /// The sequence that ended at `leaf` is over: `answer` are the tokens behind the leaf that have keys and values,
  /// which stay; the rest of the `room` rows is free again, and so are the leaf's own rows that were never computed.
  void finish(PrefixNode* leaf, std::span<const int32_t> answer, int64_t room);

  /// The ancestors of a node as attention wants them, root first, without the node.
  static std::vector<KeyRange> ancestors(const PrefixNode& node);
  /// The nodes from the root to this one.
  static std::vector<PrefixNode*> path(PrefixNode* leaf);

  int64_t free_rows() const { return free_.count(); }

 private:
  std::unique_ptr<PrefixNode>& owner_of(PrefixNode* node);
  void split(PrefixNode* node, int32_t count);
  std::optional<int32_t> take(int64_t count);
  bool drop_oldest();
  void drop(PrefixNode* node);

  PrefixNode root_;  // without tokens
  FreeRows free_;
  uint64_t clock_ = 0;
};

}  // namespace luthier
