#include "luthier/generate/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace luthier {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

/// Token indices of which the heap's top is the most probable; of equals the lower token.
struct Heap {
  explicit Heap(std::span<const float> logits) : tokens(logits.size()), less{logits} {
    std::iota(tokens.begin(), tokens.end(), 0);
    std::make_heap(tokens.begin(), tokens.end(), less);
  }
  int32_t pop() {
    std::pop_heap(tokens.begin(), tokens.end(), less);
    const int32_t token = tokens.back();
    tokens.pop_back();
    return token;
  }

  struct Less {
    std::span<const float> logits;
    bool operator()(int32_t a, int32_t b) const { return logits[a] < logits[b] || (logits[a] == logits[b] && a > b); }
  };
  std::vector<int32_t> tokens;
  Less less;
};

}  // namespace

double log_sum_exp(std::span<const float> logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) total += std::exp(logit - highest);
  return highest + std::log(total);
}

std::vector<int32_t> most_probable_of(std::span<const float> logits, size_t count) {
  std::vector<int32_t> tokens;
  if (count == 0) return tokens;
  Heap heap(logits);
  while (tokens.size() < count && !heap.tokens.empty()) tokens.push_back(heap.pop());
  return tokens;
}

void keep_nucleus(std::span<float> logits, double temperature, double top_p) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) total += std::exp((logit - highest) / temperature);
  Heap heap(logits);
  double sum = 0;
  while (!heap.tokens.empty() && sum < top_p * total) sum += std::exp((logits[heap.pop()] - highest) / temperature);
  for (const int32_t token : heap.tokens) logits[token] = kNever;
}

bool keep_allowed(std::span<float> logits, std::span<const int32_t> allowed) {
  bool any = false;
  for (size_t token = 0; token < logits.size(); ++token) {
    const bool may = token / 32 < allowed.size() && ((static_cast<uint32_t>(allowed[token / 32]) >> (token % 32)) & 1u);
    if (!may) logits[token] = kNever;
    any = any || may;
  }
  return any;
}

}  // namespace luthier
