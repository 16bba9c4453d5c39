// The forward half of a micro-batch: from its tokens to the log-probabilities of its targets.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/data/batch.h"
#include "luthier/model/pass.h"
#include "luthier/train/target_states.h"

namespace luthier {

struct MicroForward {
  TargetStates states;
  ForestInput input;
  at::Tensor hidden;                  // [R, E]
  at::Tensor log_probs, log_sum_exp;  // [R] fp32

  /// keep: leave in the pass what backward needs.
  MicroForward(const Decoder& decoder, DecoderPass& pass, const Batch& batch, bool keep);
};

}  // namespace luthier
