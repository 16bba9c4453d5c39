// The rows of an optimiser step divided among processes.
#pragma once

#include <cstdint>
#include <vector>

#include "luthier/data/dataset.h"

namespace luthier {

/// The examples, sorted by their tokens so that common prefixes stay together, cut into `parts` runs whose largest
/// costs as little as it can. A run costs the tokens that it computes: every example up to its last target, less the
/// prefix that it shares with the one before. Every example is in exactly one part; parts at the end may be empty. The
/// result depends on the arguments alone, so that every process finds the same. Throws Error when parts is below 1.
std::vector<std::vector<int64_t>> divide_rows(const Dataset& dataset, std::vector<int64_t> examples, int64_t parts);

}  // namespace luthier
