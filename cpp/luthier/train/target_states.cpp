#include "luthier/train/target_states.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace luthier {

TargetStates::TargetStates(const Batch& batch) {
  const int32_t* target_row = batch.target_rows.const_data_ptr<int32_t>();
  const int64_t count = batch.target_count();
  rows.assign(target_row, target_row + count);
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  index = at::empty({count}, at::kLong);
  int64_t* place = index.data_ptr<int64_t>();
  identity = static_cast<int64_t>(rows.size()) == count;
  for (int64_t r = 0; r < count; ++r) {
    place[r] = std::lower_bound(rows.begin(), rows.end(), target_row[r]) - rows.begin();
    identity = identity && place[r] == r;
  }
}

at::Tensor TargetStates::gather(const at::Tensor& hidden) const {
  return identity ? hidden : hidden.index_select(0, index);
}

at::Tensor TargetStates::scatter(const at::Tensor& d_targets) const {
  if (identity) return d_targets;
  at::Tensor sum = at::zeros({static_cast<int64_t>(rows.size()), d_targets.size(1)}, at::kFloat);
  sum.index_add_(0, index, d_targets.to(at::kFloat));
  return sum.to(d_targets.scalar_type());
}

}  // namespace luthier
