// The loss of examples, each on its own, with no gradient.
#pragma once

#include <cstdint>
#include <vector>

#include "luthier/data/dataset.h"
#include "luthier/model/pass.h"

namespace luthier {

/// The weighted sum of -log p over targets, and the sum of the weights.
struct LossSum {
  double loss = 0, weight = 0;
};

/// The sums of each of these examples of the dataset, in their order. They are computed in forests of at most
/// `micro_tokens` rows, so that what several examples begin with is computed once.
std::vector<LossSum> losses(const Decoder& decoder, DecoderPass& pass, const Dataset& dataset,
                            const std::vector<int64_t>& examples, int64_t micro_tokens);

}  // namespace luthier
