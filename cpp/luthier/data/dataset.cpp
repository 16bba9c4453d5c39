#include "luthier/data/dataset.h"

#include <algorithm>
#include <cmath>

#include "luthier/base/error.h"

namespace luthier {
namespace {

// Every run of supervised tokens should close with an end token: that is what teaches a model to stop.
bool every_turn_ends(const std::vector<float>& weights, const std::vector<uint8_t>& ends) {
  bool open = false, any = false;
  for (size_t i = 1; i < weights.size(); ++i) {
    if (weights[i] > 0) {
      any = true;
      open = !ends[i];
    } else if (open) {
      return false;
    }
  }
  return any && !open;
}

}  // namespace

Dataset::Dataset(int64_t max_length) : max_length_(max_length) {
  if (max_length < 2) fail_input("max-length is ", max_length, ": it must be at least 2, a token and one to predict");
}

std::string Dataset::add(Example example) {
  LUTHIER_CHECK(example.tokens.size() == example.weights.size() && example.tokens.size() == example.ends.size(),
                "[Dataset.add] row ", example.row, ": ", example.tokens.size(), " tokens, ", example.weights.size(),
                " weights and ", example.ends.size(), " end marks");
  for (float weight : example.weights) {
    if (!(weight >= 0) || std::isinf(weight)) fail_input("row ", example.row, ": a weight of ", weight);
  }
  LedgerEntry entry;
  entry.row = example.row;
  const bool had_target = example.supervised() > 0;
  const int64_t length = static_cast<int64_t>(example.tokens.size());
  if (length > max_length_) {
    entry.tokens_cut = length - max_length_;
    example.tokens.resize(max_length_);
    example.weights.resize(max_length_);
    example.ends.resize(max_length_);
  }
  entry.tokens = static_cast<int64_t>(example.tokens.size());
  entry.supervised_tokens = example.supervised();
  entry.end_supervised = every_turn_ends(example.weights, example.ends);
  if (length == 0) {
    entry.dropped = "empty";
  } else if (entry.supervised_tokens == 0) {
    entry.dropped = had_target ? concat("no supervised token left after truncation to ", max_length_, " tokens")
                               : "no supervised token";
  } else {
    entry_.push_back(ledger_.size());
    examples_.push_back(std::move(example));
  }
  ledger_.push_back(entry);
  return entry.dropped;
}

const Example& Dataset::example(int64_t index) const {
  LUTHIER_CHECK(index >= 0 && index < size(), "[Dataset] there is no example ", index, " among ", size());
  return examples_[index];
}

void Dataset::sort_by_tokens(std::vector<int64_t>& indices) const {
  std::stable_sort(indices.begin(), indices.end(),
                   [&](int64_t a, int64_t b) { return example(a).tokens < example(b).tokens; });
}

void Dataset::count(const Batch& batch, const std::vector<int64_t>& indices) {
  std::vector<int64_t> supervised(indices.size());
  std::vector<uint8_t> last_is_end(indices.size());
  for (int64_t r = 0; r < batch.target_count(); ++r) {
    ++supervised[batch.example[r]];
    last_is_end[batch.example[r]] = batch.ends[r];
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    LedgerEntry& entry = ledger_[entry_[indices[i]]];
    entry.supervised_tokens = supervised[i];
    entry.end_supervised = entry.end_supervised && last_is_end[i];
    ++entry.times_seen;
  }
}

}  // namespace luthier
