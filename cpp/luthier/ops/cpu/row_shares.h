// Which thread works on which rows of a batch.
//
// Operations on rows give each thread the same rows, so that a thread reads what it wrote itself. Where cores do not
// share a cache (several sockets, or several dies in one), reading what another core wrote costs more than memory does.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

#include "luthier/ops/cpu/divide_up.h"

namespace luthier::cpu {

/// Rows cut into at most `parts` shares of one size, the last of what is left. With one share for each thread these are
/// the rows that at::parallel_for gives it, to within `multiple`, which every cut is a multiple of.
class RowShares {
 public:
  explicit RowShares(int64_t rows, int64_t multiple = 1, int64_t parts = at::get_num_threads())
      : rows_(rows), size_(std::max<int64_t>(1, divide_up(divide_up(rows, parts), multiple)) * multiple) {}

  int64_t count() const { return divide_up(rows_, size_); }
  int64_t begin(int64_t share) const { return share * size_; }
  int64_t end(int64_t share) const { return std::min(rows_, (share + 1) * size_); }
  /// The share that a row is in.
  int64_t of(int64_t row) const { return row / size_; }

 private:
  int64_t rows_, size_;
};

}  // namespace luthier::cpu
