#include "luthier/generate/prefix_tree.h"

#include <algorithm>
#include <optional>

#include "luthier/base/error.h"
#include "luthier/data/batch.h"

namespace luthier {
namespace {

int32_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  const size_t length = std::min(a.size(), b.size());
  return static_cast<int32_t>(std::mismatch(a.begin(), a.begin() + length, b.begin()).first - a.begin());
}

}  // namespace

PrefixTree::PrefixTree(int64_t rows) : free_(rows) {}

PrefixNode* PrefixTree::add(std::span<const int32_t> prompt, int64_t room) {
  LUTHIER_CHECK(!prompt.empty(), "[prefix_tree] the prompt is empty");
  ++clock_;
  // The last token is computed in any case: its hidden state is what the answer starts from.
  std::span<const int32_t> rest = prompt;
  PrefixNode* node = &root_;
  while (true) {
    PrefixNode* nearest = nullptr;
    int32_t shared = 0;
    for (const auto& child : node->children) {
      const int32_t common = common_prefix(child->tokens, rest.first(rest.size() - 1));
      if (common > shared) {
        nearest = child.get();
        shared = common;
      }
    }
    if (nearest == nullptr || (shared < nearest->size() && shared < kMinimumSharedRows)) break;
    const bool whole = shared == nearest->size();
    if (!whole) split(nearest, shared);
    node = whole ? nearest : nearest->parent;
    node->last_used = clock_;
    rest = rest.subspan(static_cast<size_t>(shared));
    if (!whole) break;
  }

  ++node->users;  // so that it is not dropped
  const std::optional<int32_t> begin = take(static_cast<int64_t>(rest.size()) + room);
  --node->users;
  if (!begin) return nullptr;
  auto leaf = std::make_unique<PrefixNode>();
  leaf->parent = node;
  leaf->tokens.assign(rest.begin(), rest.end());
  leaf->begin = *begin;
  leaf->position = node->position + node->size();
  leaf->users = 1;
  leaf->last_used = clock_;
  node->children.push_back(std::move(leaf));
  return node->children.back().get();
}

void PrefixTree::finish(PrefixNode* leaf, std::span<const int32_t> answer, int64_t room) {
  const auto kept = static_cast<int64_t>(answer.size());
  const int32_t answer_begin = leaf->begin + leaf->size();
  free_.give_back(answer_begin + static_cast<int32_t>(kept), room - kept);
  leaf->last_used = ++clock_;
  --leaf->users;
  if (kept > 0) {
    auto node = std::make_unique<PrefixNode>();
    node->parent = leaf;
    node->tokens.assign(answer.begin(), answer.end());
    node->begin = answer_begin;
    node->position = leaf->position + leaf->size();
    node->computed = node->size();
    node->last_used = clock_;
    leaf->children.push_back(std::move(node));
  }
  // What nobody will compute any more is not kept.
  while (leaf != &root_ && leaf->users == 0 && leaf->children.empty() && leaf->computed < leaf->size()) {
    PrefixNode* parent = leaf->parent;
    if (leaf->computed > 0) {
      free_.give_back(leaf->begin + leaf->computed, leaf->size() - leaf->computed);
      leaf->tokens.resize(static_cast<size_t>(leaf->computed));
    } else {
      drop(leaf);
    }
    leaf = parent;
  }
}

std::vector<KeyRange> PrefixTree::ancestors(const PrefixNode& node) {
  std::vector<KeyRange> ranges;
  for (const PrefixNode* n = node.parent; n != nullptr && n->size() > 0; n = n->parent) {
    ranges.push_back({n->begin, n->begin + n->size(), n->position});
  }
  std::reverse(ranges.begin(), ranges.end());
  return ranges;
}

std::vector<PrefixNode*> PrefixTree::path(PrefixNode* leaf) {
  std::vector<PrefixNode*> nodes;
  for (PrefixNode* n = leaf; n != nullptr && n->size() > 0; n = n->parent) nodes.push_back(n);
  std::reverse(nodes.begin(), nodes.end());
  return nodes;
}

std::unique_ptr<PrefixNode>& PrefixTree::owner_of(PrefixNode* node) {
  auto& siblings = node->parent->children;
  return *std::find_if(siblings.begin(), siblings.end(), [&](const auto& one) { return one.get() == node; });
}

// The node keeps its last tokens; a new one with the first `count` takes its place, so that a leaf remains a leaf.
void PrefixTree::split(PrefixNode* node, int32_t count) {
  std::unique_ptr<PrefixNode>& place = owner_of(node);
  auto upper = std::make_unique<PrefixNode>();
  upper->parent = node->parent;
  upper->tokens.assign(node->tokens.begin(), node->tokens.begin() + count);
  upper->begin = node->begin;
  upper->position = node->position;
  upper->computed = std::min(node->computed, count);
  upper->last_used = node->last_used;
  node->parent = upper.get();
  node->tokens.erase(node->tokens.begin(), node->tokens.begin() + count);
  node->begin += count;
  node->position += count;
  node->computed = std::max(0, node->computed - count);
  upper->children.push_back(std::move(place));
  place = std::move(upper);
}

std::optional<int32_t> PrefixTree::take(int64_t count) {
  std::optional<int32_t> begin = free_.take(count);
  while (!begin && drop_oldest()) begin = free_.take(count);
  return begin;
}

// Drops the leaf that was used longest ago, of those that no sequence needs; false where there is none.
bool PrefixTree::drop_oldest() {
  PrefixNode* oldest = nullptr;
  std::vector<PrefixNode*> open{&root_};
  while (!open.empty()) {
    PrefixNode* node = open.back();
    open.pop_back();
    for (const auto& child : node->children) open.push_back(child.get());
    const bool idle = node != &root_ && node->children.empty() && node->users == 0;
    if (idle && (oldest == nullptr || node->last_used < oldest->last_used)) oldest = node;
  }
  if (oldest != nullptr) drop(oldest);
  return oldest != nullptr;
}

void PrefixTree::drop(PrefixNode* node) {
  free_.give_back(node->begin, node->size());
  auto& siblings = node->parent->children;
  siblings.erase(siblings.begin() + (&owner_of(node) - siblings.data()));
}

}  // namespace luthier
