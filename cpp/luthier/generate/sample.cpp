#include "luthier/generate/sample.h"

#include <algorithm>
#include <cmath>

namespace luthier {

int32_t most_probable(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

int32_t draw(std::span<const float> logits, double temperature, Random& random) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) total += std::exp((logit - highest) / temperature);
  double left = random.uniform() * total;
  int32_t last = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - highest) / temperature);
    if (weight > 0) last = static_cast<int32_t>(i);
    if (left < weight) break;
    left -= weight;
  }
  return last;
}

}  // namespace luthier
