#include "luthier/data/forest.h"

#include <algorithm>
#include <numeric>

namespace luthier {
namespace {

int32_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  const size_t length = std::min(a.size(), b.size());
  return static_cast<int32_t>(std::mismatch(a.begin(), a.begin() + length, b.begin()).first - a.begin());
}

class Builder {
 public:
  Builder(std::span<const std::span<const int32_t>> sequences, int32_t minimum_shared)
      : sequences_(sequences), minimum_shared_(minimum_shared), order_(sequences.size()) {
    forest_.leaf.assign(sequences.size(), -1);
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
      return std::lexicographical_compare(sequences[a].begin(), sequences[a].end(), sequences[b].begin(),
                                          sequences[b].end());
    });
    shared_.resize(order_.size());
    for (size_t i = 1; i < order_.size(); ++i)
      shared_[i] = common_prefix(sequences[order_[i - 1]], sequences[order_[i]]);
  }

  Forest build() {
    add_group(0, order_.size(), 0, -1);
    return std::move(forest_);
  }

 private:
  // The sorted sequences [begin, end) agree on their first `depth` tokens, which end at the node `parent`.
  void add_group(size_t begin, size_t end, int32_t depth, int32_t parent) {
    while (begin < end) {
      // The longest run from `begin` on that shares enough tokens beyond `depth` is one subtree.
      size_t stop = begin + 1;
      int32_t shared = static_cast<int32_t>(sequences_[order_[begin]].size());
      while (minimum_shared_ > 0 && stop < end && shared_[stop] - depth >= minimum_shared_) {
        shared = std::min(shared, shared_[stop]);
        ++stop;
      }
      if (stop == begin + 1 || shared - depth < minimum_shared_) {
        add_leaf(order_[begin], depth, parent);
        ++begin;
        continue;
      }
      const int32_t node = add_node(parent, order_[begin], depth, shared);
      add_group(begin, stop, shared, node);
      begin = stop;
    }
  }

  void add_leaf(int32_t sequence, int32_t depth, int32_t parent) {
    const int32_t length = static_cast<int32_t>(sequences_[sequence].size());
    forest_.leaf[sequence] = length > depth ? add_node(parent, sequence, depth, length) : parent;
  }

  int32_t add_node(int32_t parent, int32_t source, int32_t from, int32_t to) {
    forest_.nodes.push_back({parent, source, from, to});
    return static_cast<int32_t>(forest_.nodes.size()) - 1;
  }

  std::span<const std::span<const int32_t>> sequences_;
  int32_t minimum_shared_;
  std::vector<int32_t> order_;
  std::vector<int32_t> shared_;  // common prefix of sorted sequence i and the one before it
  Forest forest_;
};

}  // namespace

Forest build_forest(std::span<const std::span<const int32_t>> sequences, int32_t minimum_shared) {
  return Builder(sequences, minimum_shared).build();
}

}  // namespace luthier
