// What one pass of a decoder reads: the tokens of a prefix forest and who attends to whom.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/data/batch.h"
#include "luthier/model/config.h"
#include "luthier/ops/attention_plan.h"

namespace luthier {

struct ForestInput {
  at::Tensor tokens, positions;  // [T] int32
  AttentionPlan plan;            // all T rows ask
  at::Tensor selected;           // [M] int64, rising: the rows whose final hidden state is wanted; undefined: all
  AttentionPlan selected_plan;   // only they ask: for the last layer
  int64_t most_positions = 0;    // one past the highest position
};

/// The shape that every attention of the decoder has.
AttentionShape attention_shape(const DecoderConfig& config);

/// A pass over a batch that yields the hidden states of `selected` (rising rows; empty: of all rows).
ForestInput make_forest_input(const Batch& batch, const std::vector<int64_t>& selected, const DecoderConfig& config);

}  // namespace luthier
