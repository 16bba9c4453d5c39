// From the targets of a batch to the rows whose hidden states they need, and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "luthier/data/batch.h"

namespace luthier {

/// Several targets may ask for one row, where examples part behind it.
struct TargetStates {
  std::vector<int64_t> rows;  // [M] distinct rows of the batch, rising
  at::Tensor index;           // [R] int64: the place of each target's row in `rows`
  bool identity = false;      // index is 0, 1, ..., R - 1

  explicit TargetStates(const Batch& batch);
  /// hidden [M, E] -> [R, E]
  at::Tensor gather(const at::Tensor& hidden) const;
  /// The gradient: d_targets [R, E] summed into [M, E], in the order of the targets.
  at::Tensor scatter(const at::Tensor& d_targets) const;
};

}  // namespace luthier
