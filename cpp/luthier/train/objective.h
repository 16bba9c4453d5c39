// What a method minimises: a function from the log-probabilities of the targets to a loss and its gradient. It never
// sees the model.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/data/batch.h"

namespace luthier {

struct Outcome {
  double loss = 0;         // this batch's part of the step's loss
  at::Tensor d_log_probs;  // [R] fp32: the loss's gradient
};

class Objective {
 public:
  virtual ~Objective() = default;
  /// log_probs [R] fp32 of the batch's targets. total_weight: the summed weight over the whole optimiser step, of which
  /// this batch may be a part.
  virtual Outcome evaluate(const at::Tensor& log_probs, const Batch& batch, double total_weight) const = 0;
};

/// Supervised fine-tuning: the weighted mean of -log p over the step's targets.
class SupervisedObjective : public Objective {
 public:
  Outcome evaluate(const at::Tensor& log_probs, const Batch& batch, double total_weight) const override;
};

}  // namespace luthier
