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

/// The examples, sorted by their tokens so that those with a common prefix stay together, as one forest or halved into
/// several: until each has at most micro_tokens rows, and further, down to about a thousand rows, where the halves
/// share next to nothing, since small forests need less memory.
std::vector<MicroBatch> make_micro_batches(const Dataset& dataset, std::vector<int64_t> examples, int64_t micro_tokens);

}  // namespace luthier
