#include "luthier/generate/sample.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace luthier {

int32_t most_probable(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

int32_t most_probable(std::span<const float> logits, TokenMask allowed) {
  int32_t best = -1;
  find_allowed(allowed, logits.size(), [&](int32_t token) {
    if (best < 0 || logits[token] > logits[best]) best = token;
    return false;
  });
  return best;
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

int32_t draw(std::span<const float> logits, TokenMask allowed, double temperature, Random& random) {
  std::vector<int32_t> tokens;
  std::vector<float> kept;
  find_allowed(allowed, logits.size(), [&](int32_t token) {
    tokens.push_back(token);
    kept.push_back(logits[token]);
    return false;
  });
  if (tokens.size() < 2) return tokens.empty() ? -1 : tokens.front();
  return tokens[draw(kept, temperature, random)];
}

}  // namespace luthier
