#include "luthier/data/example.h"

#include <cstddef>

namespace luthier {

double Example::weight() const {
  double sum = 0;
  for (std::size_t i = 1; i < weights.size(); ++i) sum += weights[i];
  return sum;
}

int64_t Example::tokens_read() const {
  for (std::size_t i = weights.size(); i-- > 1;) {
    if (weights[i] > 0) return static_cast<int64_t>(i);
  }
  return 0;
}

int64_t Example::supervised() const {
  int64_t count = 0;
  for (std::size_t i = 1; i < weights.size(); ++i) count += weights[i] > 0;
  return count;
}

}  // namespace luthier
