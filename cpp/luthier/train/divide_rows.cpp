#include "luthier/train/divide_rows.h"

#include <algorithm>
#include <numeric>

#include "luthier/base/error.h"

namespace luthier {
namespace {

// What an example costs as the first of its part, and behind the example that stands before it in the order.
struct Cost {
  int64_t alone = 0, behind = 0;
};

std::vector<Cost> costs_of(const Dataset& dataset, const std::vector<int64_t>& examples) {
  std::vector<Cost> costs;
  for (size_t i = 0; i < examples.size(); ++i) {
    const Example& example = dataset.example(examples[i]);
    Cost cost;
    cost.alone = cost.behind = example.tokens_read();
    if (i > 0) {
      const std::vector<int32_t>& before = dataset.example(examples[i - 1]).tokens;
      const int64_t most = std::min(cost.alone, costs.back().alone);
      const auto parting = std::mismatch(before.begin(), before.begin() + most, example.tokens.begin());
      const int64_t shared = parting.first - before.begin();
      if (shared >= kMinimumSharedRows) cost.behind -= shared;
    }
    costs.push_back(cost);
  }
  return costs;
}

// Where the parts end when each takes as many examples as cost at most `limit`, and at least one. An example costs no
// less than what it saves the next one, so taking fewer never helps.
std::vector<size_t> part_ends(const std::vector<Cost>& costs, int64_t limit) {
  std::vector<size_t> ends;
  for (size_t i = 0; i < costs.size();) {
    int64_t cost = costs[i++].alone;
    while (i < costs.size() && cost + costs[i].behind <= limit) cost += costs[i++].behind;
    ends.push_back(i);
  }
  return ends;
}

}  // namespace

std::vector<std::vector<int64_t>> divide_rows(const Dataset& dataset, std::vector<int64_t> examples, int64_t parts) {
  LUTHIER_CHECK(parts >= 1, "[divide_rows] ", parts, " parts");
  dataset.sort_by_tokens(examples);
  const std::vector<Cost> costs = costs_of(dataset, examples);
  // The smallest limit under which the parts suffice.
  int64_t low = 0, high = 0;
  for (const Cost& cost : costs) low = std::max(low, cost.alone);
  for (const Cost& cost : costs) high += cost.alone;
  while (low < high) {
    const int64_t middle = std::midpoint(low, high);
    if (part_ends(costs, middle).size() <= static_cast<size_t>(parts)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  std::vector<std::vector<int64_t>> out;
  size_t begin = 0;
  for (size_t end : part_ends(costs, high)) {
    out.emplace_back(examples.begin() + begin, examples.begin() + end);
    begin = end;
  }
  out.resize(parts);
  return out;
}

}  // namespace luthier
