#include "luthier/generate/free_rows.h"

#include <iterator>

#include "luthier/base/error.h"

namespace luthier {

FreeRows::FreeRows(int64_t rows) : count_(rows) {
  if (rows > 0) runs_[0] = static_cast<int32_t>(rows);
}

std::optional<int32_t> FreeRows::take(int64_t count) {
  LUTHIER_CHECK(count >= 1, "[free_rows] ", count, " rows cannot be taken");
  for (auto run = runs_.begin(); run != runs_.end(); ++run) {
    const auto [begin, end] = *run;
    if (end - begin < count) continue;
    runs_.erase(run);
    const int32_t left = begin + static_cast<int32_t>(count);
    if (left < end) runs_[left] = end;
    count_ -= count;
    return begin;
  }
  return std::nullopt;
}

void FreeRows::give_back(int32_t begin, int64_t count) {
  if (count == 0) return;
  int32_t end = begin + static_cast<int32_t>(count);
  auto after = runs_.lower_bound(begin);
  LUTHIER_CHECK(after == runs_.end() || after->first >= end, "[free_rows] row ", after->first, " is free already");
  count_ += count;
  if (after != runs_.end() && after->first == end) {
    end = after->second;
    after = runs_.erase(after);
  }
  if (after != runs_.begin()) {
    const auto before = std::prev(after);
    LUTHIER_CHECK(before->second <= begin, "[free_rows] row ", begin, " is free already");
    if (before->second == begin) {
      before->second = end;
      return;
    }
  }
  runs_[begin] = end;
}

}  // namespace luthier
