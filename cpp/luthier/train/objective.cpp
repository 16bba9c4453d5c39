#include "luthier/train/objective.h"

namespace luthier {

Outcome SupervisedObjective::evaluate(const at::Tensor& log_probs, const Batch& batch, double total_weight) const {
  const float* log_prob = log_probs.const_data_ptr<float>();
  const float* weight = batch.weights.const_data_ptr<float>();
  double sum = 0;
  for (int64_t r = 0; r < batch.target_count(); ++r) sum -= double{weight[r]} * log_prob[r];
  return {sum / total_weight, batch.weights.mul(-1.0 / total_weight)};
}

}  // namespace luthier
