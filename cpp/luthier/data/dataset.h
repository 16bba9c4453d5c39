// The examples of a run, and the ledger: what became of every row of the user's file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "luthier/data/batch.h"
#include "luthier/data/example.h"

namespace luthier {

/// What the run did with one row.
struct LedgerEntry {
  int64_t row = 0;
  int64_t tokens = 0;             // after truncation
  int64_t supervised_tokens = 0;  // counted in the loss once the row was seen, in the example before that
  bool end_supervised = false;    // whether every assistant turn that is supervised has its end token in the loss
  int64_t tokens_cut = 0;         // by the length limit
  std::string dropped;            // why the row is not trained on; empty: it is
  int64_t times_seen = 0;         // how often a loss was computed on it for an update
};

/// Rows in the order in which they were added. Rows that cannot be trained on are kept in the ledger only.
class Dataset {
 public:
  /// Examples are cut to their first max_length tokens. Throws InputError when max_length is below 2.
  explicit Dataset(int64_t max_length);

  /// Adds a row: tokens, a weight and an end mark each. Returns why it was dropped, or "" when it was kept. Throws
  /// Error when the three lengths differ, InputError when a weight is negative or not finite.
  std::string add(Example example);

  int64_t size() const { return static_cast<int64_t>(examples_.size()); }
  /// Throws Error when the index is out of range.
  const Example& example(int64_t index) const;
  const std::vector<LedgerEntry>& ledger() const { return ledger_; }

  /// Orders examples by their tokens, so that those with a common prefix stand together; equal ones keep their order.
  void sort_by_tokens(std::vector<int64_t>& indices) const;

  /// Writes down what a loss was computed on. `indices` are the examples that the batch was made from.
  void count(const Batch& batch, const std::vector<int64_t>& indices);

 private:
  int64_t max_length_;
  std::vector<Example> examples_;
  std::vector<size_t> entry_;  // [examples] their ledger entry
  std::vector<LedgerEntry> ledger_;
};

}  // namespace luthier
