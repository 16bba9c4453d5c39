// The examples of a data set by their indices.
#pragma once

#include <numeric>
#include <vector>

#include "luthier/data/dataset.h"

namespace luthier::testing {

inline std::vector<int64_t> all(const Dataset& data) {
  std::vector<int64_t> indices(data.size());
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

}  // namespace luthier::testing
