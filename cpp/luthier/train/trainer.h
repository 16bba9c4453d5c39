// The optimiser step: rows to micro-batches, forward, loss, backward, clip, update.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "luthier/data/dataset.h"
#include "luthier/model/pass.h"
#include "luthier/train/losses.h"
#include "luthier/train/objective.h"
#include "luthier/train/optimizer.h"

namespace luthier {

struct TrainerSettings {
  int64_t micro_tokens = 4096;  // most rows of a forest that are computed at once; one longer example goes alone
  double clip = 1.0;
  bool recompute = false;  // less memory for more time: see DecoderPass
  AdamWSettings optimizer;
};

struct StepResult {
  double loss = 0;              // the weighted mean over the step's targets, before the update
  double gradient_norm = 0;     // before clipping
  double weight = 0;            // the summed weight of the targets
  int64_t rows = 0;             // examples
  int64_t tokens = 0;           // of the examples, each on its own
  int64_t computed_tokens = 0;  // after sharing prefixes and leaving out what no target needs
  int64_t supervised_tokens = 0;
};

class Trainer {
 public:
  /// Trains `parameters`, whose gradients are attached to the decoder. Both must outlive the trainer.
  Trainer(Decoder& decoder, std::vector<Parameter>& parameters, const TrainerSettings& settings);

  /// One update from these examples of the dataset, in whose ledger they are counted. When a loss or a gradient is not
  /// finite it throws Error that names the row, and changes nothing.
  StepResult step(Dataset& dataset, const std::vector<int64_t>& examples, double learning_rate);

  /// The first half of a step of which `examples` (which may be none) are a part: their share of the loss and of its
  /// gradient, which is left in the parameters' `gradient`. `total_weight` is the summed weight of the whole step's
  /// targets. Counts in the ledger and throws as step() does.
  StepResult accumulate(Dataset& dataset, const std::vector<int64_t>& examples, double total_weight);
  /// The second half: clips the gradients that the parameters hold and updates them. Returns the norm before clipping;
  /// throws Error, and changes nothing, when it is not finite.
  double update(double learning_rate);

  /// The loss of the examples, with no gradient and no entry in the ledger.
  LossSum loss(const Dataset& dataset, const std::vector<int64_t>& examples);
  /// The mean loss, and its gradient left in the parameters' `gradient`; no update.
  StepResult gradients(Dataset& dataset, const std::vector<int64_t>& examples);

  /// Frees the memory of forward and backward; a later step allocates it anew.
  void release();

  Optimizer& optimizer() { return optimizer_; }

 private:
  StepResult backward(Dataset& dataset, const std::vector<int64_t>& examples, double total_weight, bool count);
  double micro_step(const Batch& batch, const std::vector<int64_t>& rows, double total_weight);
  [[noreturn]] void fail_gradient(Dataset& dataset, const std::vector<int64_t>& examples);

  Decoder& decoder_;
  TrainerSettings settings_;
  SupervisedObjective objective_;
  Optimizer optimizer_;
  DecoderPass pass_, evaluation_pass_;
};

}  // namespace luthier
