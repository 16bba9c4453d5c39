// The rows of an optimiser step cut into forests that fit in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "luthier/data/dataset.h"

namespace luthier {

struct MicroBatch {
  Batch batch;
  std::vector<int64_t> examples;  // indices into the dataset; Batch::example counts these
};

/// One forest if it has at most micro_tokens rows; otherwise the examples, sorted by their tokens so that those with a
/// common prefix stay together, are halved until it has.
std::vector<MicroBatch> make_micro_batches(const Dataset& dataset, std::vector<int64_t> examples, int64_t micro_tokens);

}  // namespace luthier
