// Which rows of a key/value cache are free, as runs of consecutive rows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace luthier {

class FreeRows {
 public:
  /// All of [0, rows) is free.
  explicit FreeRows(int64_t rows);

  /// Takes the first run of `count` free rows (at least 1) and gives its first row; nothing where no run is that long.
  std::optional<int32_t> take(int64_t count);
  /// Rows [begin, begin + count), which were taken, are free again. Throws Error where one of them is free already.
  void give_back(int32_t begin, int64_t count);
  /// How many rows are free.
  int64_t count() const { return count_; }

 private:
  std::map<int32_t, int32_t> runs_;  // first row -> one past the last; no two runs touch
  int64_t count_;
};

}  // namespace luthier
