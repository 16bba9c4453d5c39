#include "luthier/train/losses.h"

#include <unordered_map>

#include "luthier/train/micro_batches.h"
#include "luthier/train/micro_forward.h"

namespace luthier {

std::vector<LossSum> losses(const Decoder& decoder, DecoderPass& pass, const Dataset& dataset,
                            const std::vector<int64_t>& examples, int64_t micro_tokens) {
  if (examples.empty()) return {};
  std::unordered_map<int64_t, LossSum> found;
  for (const MicroBatch& micro : make_micro_batches(dataset, examples, micro_tokens)) {
    const MicroForward forward(decoder, pass, micro.batch, /*keep=*/false);
    const float* log_probs = forward.log_probs.const_data_ptr<float>();
    const float* weights = micro.batch.weights.const_data_ptr<float>();
    for (int64_t r = 0; r < micro.batch.target_count(); ++r) {
      LossSum& sum = found[micro.examples[micro.batch.example[r]]];
      sum.loss -= static_cast<double>(weights[r]) * log_probs[r];
      sum.weight += weights[r];
    }
  }
  std::vector<LossSum> sums;
  sums.reserve(examples.size());
  for (int64_t example : examples) sums.push_back(found[example]);
  return sums;
}

}  // namespace luthier
