#include "luthier/generate/token_trie.h"

#include <algorithm>
#include <utility>

#include "luthier/base/error.h"

namespace luthier {
namespace {

void set(std::span<int32_t> mask, int32_t token) {
  const size_t word = static_cast<size_t>(token) / 32;
  if (word >= mask.size()) fail_input("a label has the token ", token, ", which is not in the model's vocabulary");
  mask[word] = static_cast<int32_t>(static_cast<uint32_t>(mask[word]) | (uint32_t{1} << (token % 32)));
}

}  // namespace

TokenTrie::TokenTrie(const std::vector<std::vector<int32_t>>& sequences, std::vector<int32_t> end_tokens)
    : nodes_(1), end_tokens_(std::move(end_tokens)) {
  if (sequences.empty()) fail_input("there are no labels to choose from");
  for (const int32_t end : end_tokens_) {
    if (end < 0) fail_input("an end token is ", end, ": it must be zero or above");
  }
  for (const std::vector<int32_t>& sequence : sequences) {
    int32_t node = kRoot;
    for (const int32_t token : sequence) {
      if (token < 0) fail_input("a label has the token ", token, ": it must be zero or above");
      if (std::find(end_tokens_.begin(), end_tokens_.end(), token) != end_tokens_.end()) {
        fail_input("a label has the token ", token, ", at which answers end");
      }
      const auto [found, added] = nodes_[node].children.try_emplace(token, static_cast<int32_t>(nodes_.size()));
      node = found->second;
      if (added) nodes_.emplace_back();
    }
    nodes_[node].ends = true;
  }
}

int32_t TokenTrie::child(int32_t node, int32_t token) const {
  const auto found = nodes_[node].children.find(token);
  LUTHIER_CHECK(found != nodes_[node].children.end(), "[token trie] no label goes on with token ", token);
  return found->second;
}

void TokenTrie::allow(int32_t node, std::span<int32_t> mask) const {
  for (const auto& [token, child] : nodes_[node].children) set(mask, token);
  if (!nodes_[node].ends) return;
  for (const int32_t end : end_tokens_) set(mask, end);
}

void TrieConstraint::next(std::span<const int64_t> prompts, std::span<const int32_t> tokens, const at::Tensor& masks) {
  const size_t words = static_cast<size_t>(masks.size(1));
  int32_t* const first = masks.data_ptr<int32_t>();
  for (size_t i = 0; i < prompts.size(); ++i) {
    int32_t& node = node_of_[prompts[i]];  // the root until a token was chosen
    if (tokens[i] >= 0) node = trie_.child(node, tokens[i]);
    trie_.allow(node, {first + i * words, words});
  }
}

}  // namespace luthier
