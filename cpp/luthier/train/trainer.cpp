#include "luthier/train/trainer.h"

#include <ATen/ops/empty_like.h>

#include <cmath>

#include "luthier/base/error.h"
#include "luthier/ops/token_logprob.h"
#include "luthier/train/micro_batches.h"
#include "luthier/train/micro_forward.h"

namespace luthier {
namespace {

double weight_of(const Dataset& dataset, const std::vector<int64_t>& examples) {
  double weight = 0;
  for (int64_t index : examples) weight += dataset.example(index).weight();
  return weight;
}

// The dataset row of the first target whose log-probability is not finite.
void check_finite(const at::Tensor& log_probs, const Batch& batch, const std::vector<int64_t>& rows) {
  const float* value = log_probs.const_data_ptr<float>();
  for (int64_t r = 0; r < batch.target_count(); ++r) {
    if (!std::isfinite(value[r])) fail("[train] the loss is not finite at row ", rows[batch.example[r]]);
  }
}

std::vector<int64_t> rows_of(const Dataset& dataset, const std::vector<int64_t>& examples) {
  std::vector<int64_t> rows;
  for (int64_t index : examples) rows.push_back(dataset.example(index).row);
  return rows;
}

}  // namespace

Trainer::Trainer(Decoder& decoder, std::vector<Parameter>& parameters, const TrainerSettings& settings)
    : decoder_(decoder),
      settings_(settings),
      optimizer_(parameters, settings.optimizer, settings.clip),
      pass_(decoder, settings.recompute),
      evaluation_pass_(decoder) {
  if (settings.micro_tokens < 1) fail_input("micro-tokens is ", settings.micro_tokens, ": it must be at least 1");
}

double Trainer::micro_step(const Batch& batch, const std::vector<int64_t>& rows, double total_weight) {
  const MicroForward forward(decoder_, pass_, batch, /*keep=*/true);
  check_finite(forward.log_probs, batch, rows);
  const Outcome outcome = objective_.evaluate(forward.log_probs, batch, total_weight);
  at::Tensor d_hidden = at::empty_like(forward.hidden);
  token_logprob_backward(forward.hidden, decoder_.head.value, batch.targets, decoder_.config.logit_map(),
                         forward.log_sum_exp, outcome.d_log_probs, d_hidden, decoder_.head.gradient,
                         decoder_.head.gradient_begin);
  pass_.backward(forward.input, forward.states.scatter(d_hidden));
  return outcome.loss;
}

StepResult Trainer::backward(Dataset& dataset, const std::vector<int64_t>& examples, double total_weight, bool count) {
  optimizer_.zero_gradients();
  StepResult result;
  result.weight = total_weight;
  result.rows = static_cast<int64_t>(examples.size());
  if (examples.empty()) return result;
  for (int64_t index : examples) result.tokens += static_cast<int64_t>(dataset.example(index).tokens.size());
  for (const MicroBatch& micro : make_micro_batches(dataset, examples, settings_.micro_tokens)) {
    result.loss += micro_step(micro.batch, rows_of(dataset, micro.examples), total_weight);
    result.computed_tokens += micro.batch.rows();
    result.supervised_tokens += micro.batch.target_count();
    if (count) dataset.count(micro.batch, micro.examples);
  }
  result.gradient_norm = optimizer_.gradient_norm();
  return result;
}

StepResult Trainer::accumulate(Dataset& dataset, const std::vector<int64_t>& examples, double total_weight) {
  const StepResult result = backward(dataset, examples, total_weight, /*count=*/true);
  if (!std::isfinite(result.gradient_norm)) fail_gradient(dataset, examples);
  return result;
}

double Trainer::update(double learning_rate) {
  const double norm = optimizer_.gradient_norm();
  if (!std::isfinite(norm)) fail("[train] the gradient of the step is not finite, though that of each part is");
  optimizer_.step(learning_rate, norm);
  return norm;
}

StepResult Trainer::step(Dataset& dataset, const std::vector<int64_t>& examples, double learning_rate) {
  LUTHIER_CHECK(!examples.empty(), "[train] a step without rows");
  const StepResult result = accumulate(dataset, examples, weight_of(dataset, examples));
  optimizer_.step(learning_rate, result.gradient_norm);  // update() would take the norm once more
  return result;
}

StepResult Trainer::gradients(Dataset& dataset, const std::vector<int64_t>& examples) {
  LUTHIER_CHECK(!examples.empty(), "[train] gradients without rows");
  return backward(dataset, examples, weight_of(dataset, examples), /*count=*/false);
}

void Trainer::fail_gradient(Dataset& dataset, const std::vector<int64_t>& examples) {
  for (int64_t index : examples) {
    if (!std::isfinite(gradients(dataset, {index}).gradient_norm)) {
      fail("[train] the gradient is not finite at row ", dataset.example(index).row);
    }
  }
  fail("[train] the gradient of the step is not finite, though that of each row is; it starts at row ",
       dataset.example(examples.front()).row);
}

LossSum Trainer::loss(const Dataset& dataset, const std::vector<int64_t>& examples) {
  LossSum total;
  for (const LossSum& sum : losses(decoder_, evaluation_pass_, dataset, examples, settings_.micro_tokens)) {
    total.loss += sum.loss;
    total.weight += sum.weight;
  }
  return total;
}

void Trainer::release() {
  pass_.release();
  evaluation_pass_.release();
}

}  // namespace luthier
