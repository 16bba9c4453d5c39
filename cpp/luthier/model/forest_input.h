// What one pass of a decoder reads: the tokens of a prefix forest and who attends to whom.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "luthier/data/batch.h"
#include "luthier/model/config.h"
#include "luthier/ops/attention_plan.h"

namespace luthier {

struct ForestInput {
  at::Tensor tokens, positions;      // [T] int32
  std::vector<AttentionPlan> plans;  // all T rows ask; one for each window of the decoder
  at::Tensor selected;               // [M] int64, rising: the rows whose final hidden state is wanted; undefined: all
  std::vector<AttentionPlan> selected_plans;  // only they ask: for the last layer
  int64_t most_positions = 0;                 // one past the highest position
};

/// A plan for each window of the decoder, in the order of windows_of(config).
std::vector<AttentionPlan> plan_windows(const std::vector<AttentionSpan>& spans, const DecoderConfig& config,
                                        int64_t keys);

/// The plan for layers with this window.
const AttentionPlan& plan_of(const std::vector<AttentionPlan>& plans, int32_t window);

/// A pass over a batch that yields the hidden states of `selected` (rising rows; empty: of all rows).
ForestInput make_forest_input(const Batch& batch, const std::vector<int64_t>& selected, const DecoderConfig& config);

}  // namespace luthier
