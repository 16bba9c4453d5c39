// What optimiser steps take in memory and work, found out without computing them.
#pragma once

#include <cstdint>
#include <vector>

#include "luthier/data/dataset.h"
#include "luthier/model/decoder.h"

namespace luthier {

/// One forest of a step, as the trainer computes it.
struct ForestCost {
  int64_t tokens = 0;         // of the examples, each on its own
  int64_t rows = 0;           // computed: after sharing prefixes and leaving out what no target needs
  int64_t targets = 0;        // supervised tokens
  int64_t scratch_bytes = 0;  // of the operations while they run, and of the states at the targets
  double forward_flops = 0, backward_flops = 0;
};

/// The forests of a step over these examples, in the trainer's order. `full`: every weight is trained; otherwise the
/// adapter that is attached. Work is counted for the products, attention and the head; a product of K numbers is 2 K.
std::vector<ForestCost> forest_costs(Decoder& decoder, const Dataset& dataset, const std::vector<int64_t>& examples,
                                     int64_t micro_tokens, bool full);

/// Numbers that are trained.
int64_t trained_count(Decoder& decoder, bool full);

/// The bytes that a trainer and its optimiser allocate: gradients, both moments, and the masters that do not exist yet.
int64_t trainer_bytes(Decoder& decoder, bool full);

/// The bytes of the decoder's weights and of the adapter in them, its masters included.
int64_t weight_bytes(Decoder& decoder);

}  // namespace luthier
