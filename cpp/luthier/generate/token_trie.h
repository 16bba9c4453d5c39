// A closed set of answers as a tree of their tokens.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "luthier/generate/constraint.h"

namespace luthier {

/// Nodes are numbered, the root is 0. A sequence may be the beginning of another.
class TokenTrie {
 public:
  static constexpr int32_t kRoot = 0;

  /// Answers are the `sequences`, each followed by one of `end_tokens`. Throws InputError for no sequences, a negative
  /// token, and a sequence that holds an end token.
  TokenTrie(const std::vector<std::vector<int32_t>>& sequences, std::vector<int32_t> end_tokens);

  /// The node behind `token`, which must be allowed at `node`.
  int32_t child(int32_t node, int32_t token) const;

  /// Sets the bits of the tokens that go on from `node`, and of the end tokens where a sequence ends. Throws InputError
  /// for a token that the mask has no bit for.
  void allow(int32_t node, std::span<int32_t> mask) const;

  int64_t nodes() const { return static_cast<int64_t>(nodes_.size()); }

 private:
  struct Node {
    std::map<int32_t, int32_t> children;  // by token
    bool ends = false;                    // a sequence ends here
  };

  std::vector<Node> nodes_;
  std::vector<int32_t> end_tokens_;
};

/// Every answer is one of a trie's sequences. The trie must outlive it.
class TrieConstraint final : public Constraint {
 public:
  explicit TrieConstraint(const TokenTrie& trie) : trie_(trie) {}
  void next(std::span<const int64_t> prompts, std::span<const int32_t> tokens, const at::Tensor& masks) override;

 private:
  const TokenTrie& trie_;
  std::map<int64_t, int32_t> node_of_;  // by prompt
};

}  // namespace luthier
