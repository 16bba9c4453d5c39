#include "luthier/train/micro_batches.h"

#include <algorithm>
#include <span>

namespace luthier {
namespace {

// A forest of more rows is halved when that costs next to nothing: products reach their full speed well below, and half
// the rows need half the memory.
constexpr int64_t kAmpleRows = 1024;
constexpr double kRepeatedShare = 0.01;

using Indices = std::span<const int64_t>;

std::vector<const Example*> examples_of(const Dataset& dataset, Indices indices) {
  std::vector<const Example*> examples;
  for (int64_t index : indices) examples.push_back(&dataset.example(index));
  return examples;
}

// `rows`: of the forest of these examples, which are sorted.
void split(const Dataset& dataset, Indices indices, int64_t rows, int64_t micro_tokens, std::vector<MicroBatch>& out) {
  if (indices.size() > 1 && rows > std::min(micro_tokens, kAmpleRows)) {
    const Indices left = indices.first(indices.size() / 2), right = indices.subspan(indices.size() / 2);
    const int64_t left_rows = batch_rows(examples_of(dataset, left));
    const int64_t right_rows = batch_rows(examples_of(dataset, right));
    const auto repeated = static_cast<double>(left_rows + right_rows - rows);
    if (rows > micro_tokens || repeated <= kRepeatedShare * static_cast<double>(rows)) {
      split(dataset, left, left_rows, micro_tokens, out);
      split(dataset, right, right_rows, micro_tokens, out);
      return;
    }
  }
  out.push_back({make_batch(examples_of(dataset, indices)), {indices.begin(), indices.end()}});
}

}  // namespace

std::vector<MicroBatch> make_micro_batches(const Dataset& dataset, std::vector<int64_t> examples,
                                           int64_t micro_tokens) {
  dataset.sort_by_tokens(examples);
  std::vector<MicroBatch> out;
  split(dataset, examples, batch_rows(examples_of(dataset, examples)), micro_tokens, out);
  return out;
}

}  // namespace luthier
