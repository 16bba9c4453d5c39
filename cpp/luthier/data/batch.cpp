#include "luthier/data/batch.h"

#include <ATen/ops/empty.h>

#include "luthier/base/error.h"
#include "luthier/data/forest.h"

namespace luthier {
namespace {

at::Tensor int_tensor(const std::vector<int32_t>& values) {
  at::Tensor out = at::empty({static_cast<int64_t>(values.size())}, at::kInt);
  std::copy(values.begin(), values.end(), out.data_ptr<int32_t>());
  return out;
}

// Fills tokens, positions and segments from the forest.
void lay_out(const Forest& forest, std::span<const std::span<const int32_t>> sequences, Batch& batch) {
  std::vector<int32_t> tokens, positions;
  for (const ForestNode& node : forest.nodes) {
    Segment segment;
    segment.parent = node.parent;
    segment.position = node.from;
    segment.begin = static_cast<int32_t>(tokens.size());
    for (int32_t i = node.from; i < node.to; ++i) {
      tokens.push_back(sequences[node.source][i]);
      positions.push_back(i);
    }
    segment.end = static_cast<int32_t>(tokens.size());
    batch.segments.push_back(segment);
  }
  batch.tokens = int_tensor(tokens);
  batch.positions = int_tensor(positions);
}

// The batch row of each token of a sequence that ends in the segment `leaf`.
std::vector<int32_t> rows_of(const Batch& batch, int32_t leaf, size_t length) {
  std::vector<int32_t> rows(length);
  for (int32_t s = leaf; s >= 0; s = batch.segments[s].parent) {
    const Segment& segment = batch.segments[s];
    for (int32_t row = segment.begin; row < segment.end; ++row) {
      const size_t i = segment.position + (row - segment.begin);
      if (i < length) rows[i] = row;
    }
  }
  return rows;
}

std::vector<std::span<const int32_t>> read_tokens(std::span<const Example* const> examples) {
  std::vector<std::span<const int32_t>> sequences;
  for (const Example* example : examples) {
    sequences.emplace_back(example->tokens.data(), static_cast<size_t>(example->tokens_read()));
  }
  return sequences;
}

}  // namespace

int64_t batch_rows(std::span<const Example* const> examples, int32_t minimum_shared) {
  const std::vector<std::span<const int32_t>> sequences = read_tokens(examples);
  int64_t rows = 0;
  for (const ForestNode& node : build_forest(sequences, minimum_shared).nodes) rows += node.to - node.from;
  return rows;
}

Batch make_batch(std::span<const Example* const> examples, int32_t minimum_shared) {
  const std::vector<std::span<const int32_t>> sequences = read_tokens(examples);
  const Forest forest = build_forest(sequences, minimum_shared);
  Batch batch;
  lay_out(forest, sequences, batch);

  std::vector<int32_t> target_rows, targets;
  std::vector<float> weights;
  for (size_t e = 0; e < examples.size(); ++e) {
    if (forest.leaf[e] < 0) continue;
    const Example& example = *examples[e];
    const std::vector<int32_t> rows = rows_of(batch, forest.leaf[e], sequences[e].size());
    for (size_t i = 1; i <= rows.size(); ++i) {
      if (example.weights[i] <= 0) continue;
      target_rows.push_back(rows[i - 1]);
      targets.push_back(example.tokens[i]);
      weights.push_back(example.weights[i]);
      batch.example.push_back(static_cast<int32_t>(e));
      batch.ends.push_back(example.ends[i]);
    }
  }
  LUTHIER_CHECK(!targets.empty(), "[make_batch] no example has a supervised token");
  batch.target_rows = int_tensor(target_rows);
  batch.targets = int_tensor(targets);
  batch.weights = at::empty({static_cast<int64_t>(weights.size())}, at::kFloat);
  std::copy(weights.begin(), weights.end(), batch.weights.data_ptr<float>());
  return batch;
}

Batch make_prompt_batch(std::span<const std::vector<int32_t>* const> prompts, int32_t minimum_shared,
                        std::vector<int32_t>* leaf_segments) {
  std::vector<std::span<const int32_t>> sequences;
  for (const auto* prompt : prompts) sequences.emplace_back(prompt->data(), prompt->size());
  Forest forest = build_forest(sequences, minimum_shared);
  Batch batch;
  lay_out(forest, sequences, batch);
  if (leaf_segments != nullptr) *leaf_segments = std::move(forest.leaf);
  return batch;
}

}  // namespace luthier
