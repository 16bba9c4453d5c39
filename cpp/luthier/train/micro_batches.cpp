#include "luthier/train/micro_batches.h"

#include <algorithm>

namespace luthier {
namespace {

void split(const Dataset& dataset, std::vector<int64_t> examples, int64_t micro_tokens, std::vector<MicroBatch>& out) {
  std::vector<const Example*> rows;
  for (int64_t index : examples) rows.push_back(&dataset.example(index));
  Batch batch = make_batch(rows);
  if (batch.rows() <= micro_tokens || examples.size() == 1) {
    out.push_back({std::move(batch), std::move(examples)});
    return;
  }
  const auto middle = examples.begin() + examples.size() / 2;
  split(dataset, {examples.begin(), middle}, micro_tokens, out);
  split(dataset, {middle, examples.end()}, micro_tokens, out);
}

}  // namespace

std::vector<MicroBatch> make_micro_batches(const Dataset& dataset, std::vector<int64_t> examples,
                                           int64_t micro_tokens) {
  std::stable_sort(examples.begin(), examples.end(),
                   [&](int64_t a, int64_t b) { return dataset.example(a).tokens < dataset.example(b).tokens; });
  std::vector<MicroBatch> out;
  split(dataset, std::move(examples), micro_tokens, out);
  return out;
}

}  // namespace luthier
