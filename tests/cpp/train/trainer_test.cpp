#include "luthier/train/trainer.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "../model/tiny_decoder.h"
#include "all_examples.h"
#include "luthier/adapter/lora.h"
#include "luthier/adapter/token_rows.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

using testing::all;
using testing::random_tokens;
using testing::relative_error;
using testing::tiny_decoder;
using testing::uniform;

// Rows that share a prefix, so that targets and rows of the forest differ.
Dataset make_dataset() {
  Dataset data(100);
  const std::vector<int32_t> prefix = random_tokens(18, 1, 22);
  for (int64_t row = 0; row < 5; ++row) {
    std::vector<int32_t> tokens = row < 4 ? prefix : std::vector<int32_t>();
    for (int32_t token : random_tokens(2 + row, 10 + row, 22)) tokens.push_back(token);
    std::vector<float> weights(tokens.size(), 0);
    weights[tokens.size() / 2] = 0.5;
    weights.back() = 1;
    std::vector<uint8_t> ends(tokens.size(), 0);
    ends.back() = 1;
    data.add({100 + row, tokens, weights, ends});
  }
  return data;
}

std::vector<Parameter> lora_parameters(Decoder& decoder) {
  std::vector<Parameter> parameters = attach_lora(decoder, {3, 6, {"all-linear"}, false}, 1);
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].master.copy_(uniform(parameters[i].master.sizes(), 40 + i, 0.3));
    parameters[i].publish();
  }
  train_lora(decoder, parameters, true);
  return parameters;
}

std::vector<Parameter> all_parameters(Decoder& decoder) {
  train_all_weights(decoder, true);
  return weight_parameters(decoder);
}

std::map<std::string, at::Tensor> copies(const std::map<std::string, at::Tensor>& tensors) {
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, tensor] : tensors) out[name] = tensor.clone();
  return out;
}

std::string failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// The derivative along a random direction through each parameter in turn, by central differences.
void expect_gradients_by_differences(Decoder& decoder, std::vector<Parameter>& parameters) {
  Dataset data = make_dataset();
  Trainer trainer(decoder, parameters, {});
  trainer.gradients(data, all(data));
  for (size_t i = 0; i < parameters.size(); ++i) {
    Parameter& parameter = parameters[i];
    const at::Tensor start = parameter.master.clone();
    const at::Tensor gradient = parameter.gradient.to(at::kDouble) * parameter.gradient_scale;
    // Along the gradient the slope is its norm: the best signal over the rounding of fp32.
    const double norm = gradient.norm().item<double>();
    ASSERT_GT(norm, 0) << parameter.name;
    const double step = 2e-3 / norm;
    double loss[2];
    for (const int side : {0, 1}) {
      parameter.master.copy_(start.to(at::kDouble) + gradient * ((side == 0 ? -step : step) / norm));
      parameter.publish();
      const LossSum sum = trainer.loss(data, all(data));
      loss[side] = sum.loss / sum.weight;
    }
    parameter.master.copy_(start);
    parameter.publish();
    EXPECT_NEAR((loss[1] - loss[0]) / (2 * step) / norm, 1, 2e-2) << parameter.name;
  }
}

TEST(Trainer, GradientsOfAllWeightsAreTheSlopesOfTheLoss) {
  for (const bool tied : {true, false}) {
    Decoder decoder = tiny_decoder(tied, !tied);
    std::vector<Parameter> parameters = all_parameters(decoder);
    expect_gradients_by_differences(decoder, parameters);
  }
}

TEST(Trainer, GradientsOfAnAdapterAreTheSlopesOfTheLoss) {
  Decoder decoder = tiny_decoder(false, true);
  std::vector<Parameter> parameters = lora_parameters(decoder);
  expect_gradients_by_differences(decoder, parameters);
}

TEST(Trainer, GradientsOfTheRowsOfTokensAreThoseOfTheWholeMatrices) {
  for (const bool tied : {true, false}) {
    for (auto [name, config] : testing::varied_configs()) {
      SCOPED_TRACE(name);
      config.tied_head = tied;
      Decoder decoder = testing::random_decoder(config);
      Dataset data = make_dataset();
      std::vector<Parameter> whole = all_parameters(decoder);
      Trainer all_weights(decoder, whole, {});
      const double loss = all_weights.gradients(data, all(data)).loss;
      // Tokens that rows read and predict.
      std::vector<at::Tensor> wanted{decoder.embedding.gradient.narrow(0, 17, 4).clone()};
      if (!tied) wanted.push_back(decoder.head.gradient.narrow(0, 17, 4).clone());

      train_all_weights(decoder, false);
      std::vector<Parameter> rows = attach_token_rows(decoder, {17, 4});
      train_token_rows(decoder, rows, true);
      Trainer some(decoder, rows, {});
      EXPECT_EQ(some.gradients(data, all(data)).loss, loss);
      ASSERT_EQ(rows.size(), wanted.size());
      for (size_t i = 0; i < rows.size(); ++i) EXPECT_LT(relative_error(rows[i].gradient, wanted[i]), 1e-5);
    }
  }
}

TEST(Trainer, RowsOfTokensLearnAndTheOthersStay) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    Decoder decoder = tiny_decoder(true, false, type);
    std::vector<Parameter> parameters = attach_lora(decoder, {2, 4, {"q_proj"}, false}, 1);
    for (Parameter& rows : attach_token_rows(decoder, {17, 4})) parameters.push_back(rows);
    train_lora(decoder, parameters, true);
    train_token_rows(decoder, parameters, true);
    const at::Tensor before = decoder.embedding.value.clone();
    Dataset data = make_dataset();
    Trainer trainer(decoder, parameters, {});
    for (int i = 0; i < 3; ++i) trainer.step(data, all(data), 1e-1);
    const at::Tensor& after = decoder.embedding.value;
    EXPECT_TRUE(after.narrow(0, 0, 17).equal(before.narrow(0, 0, 17)));
    EXPECT_TRUE(after.narrow(0, 21, 2).equal(before.narrow(0, 21, 2)));
    EXPECT_GT(relative_error(after.narrow(0, 17, 4), before.narrow(0, 17, 4)), 1e-2);
    EXPECT_TRUE(after.narrow(0, 17, 4).equal(parameters.back().master.to(type)));
  }
}

TEST(Trainer, MicroBatchesChangeNeitherLossNorGradient) {
  Decoder decoder = tiny_decoder(true, true);
  std::vector<Parameter> parameters = all_parameters(decoder);
  Dataset data = make_dataset();
  TrainerSettings settings;
  Trainer whole(decoder, parameters, settings);
  const StepResult together = whole.gradients(data, all(data));
  std::vector<at::Tensor> gradients;
  for (const Parameter& p : parameters) gradients.push_back(p.gradient.clone());
  settings.micro_tokens = 1;
  Trainer apart(decoder, parameters, settings);
  const StepResult alone = apart.gradients(data, all(data));
  EXPECT_LT(together.computed_tokens, alone.computed_tokens);
  EXPECT_EQ(together.supervised_tokens, alone.supervised_tokens);
  EXPECT_NEAR(together.loss, alone.loss, 1e-5 * alone.loss);
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_LT(relative_error(parameters[i].gradient, gradients[i]), 1e-5) << parameters[i].name;
  }
}

TEST(Trainer, ComputingLayersAgainGivesTheSameBits) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const bool full : {false, true}) {
      Decoder decoder = tiny_decoder(true, true, type);
      std::vector<Parameter> parameters = full ? all_parameters(decoder) : lora_parameters(decoder);
      Dataset data = make_dataset();
      TrainerSettings settings;
      Trainer kept(decoder, parameters, settings);
      const double loss = kept.gradients(data, all(data)).loss;
      std::vector<at::Tensor> gradients;
      for (const Parameter& p : parameters) gradients.push_back(p.gradient.clone());
      settings.recompute = true;
      Trainer again(decoder, parameters, settings);
      EXPECT_EQ(again.gradients(data, all(data)).loss, loss);
      for (size_t i = 0; i < parameters.size(); ++i) {
        EXPECT_TRUE(parameters[i].gradient.equal(gradients[i])) << parameters[i].name;
      }
    }
  }
}

TEST(Trainer, StepsLowerTheLossAndAreCounted) {
  Decoder decoder = tiny_decoder();
  std::vector<Parameter> parameters = lora_parameters(decoder);
  Dataset data = make_dataset();
  Trainer trainer(decoder, parameters, {});
  const double first = trainer.step(data, all(data), 1e-2).loss;
  for (int i = 0; i < 20; ++i) trainer.step(data, all(data), 1e-2);
  const LossSum last = trainer.loss(data, all(data));
  EXPECT_LT(last.loss / last.weight, 0.7 * first);
  EXPECT_EQ(trainer.optimizer().step_count(), 21);
  for (const LedgerEntry& entry : data.ledger()) EXPECT_EQ(entry.times_seen, 21);
}

TEST(Trainer, ALossThatIsNotFiniteNamesItsRowAndChangesNothing) {
  Decoder decoder = tiny_decoder(false);
  std::vector<Parameter> parameters = lora_parameters(decoder);
  Dataset data = make_dataset();
  // A token that only the last row reads.
  data.add({777, {22, 3}, {0, 1}, {0, 1}});
  std::vector<at::Tensor> before;
  for (const Parameter& p : parameters) before.push_back(p.master.clone());
  for (int64_t i = 0; i < data.size() - 1; ++i) {
    for (int32_t token : data.example(i).tokens) ASSERT_NE(token, 22) << "the poisoned token should be rare";
  }
  decoder.embedding.value[22].fill_(std::numeric_limits<float>::quiet_NaN());
  Trainer trainer(decoder, parameters, {});
  const std::string message = failure([&] { trainer.step(data, all(data), 1e-2); });
  EXPECT_NE(message.find("not finite at row 777"), std::string::npos) << message;
  EXPECT_EQ(trainer.optimizer().step_count(), 0);
  for (size_t i = 0; i < parameters.size(); ++i) EXPECT_TRUE(parameters[i].master.equal(before[i]));
  EXPECT_GT(trainer.step(data, {0, 1}, 1e-2).loss, 0) << "the other rows still train";
}

// A step in parts, as several processes compute it: their gradients are added up as flat tensors.
TEST(Trainer, PartsOfAStepAddUpToTheStep) {
  Decoder decoder = tiny_decoder(false, true);
  std::vector<Parameter> parameters = lora_parameters(decoder);
  Dataset data = make_dataset();
  Trainer trainer(decoder, parameters, {});
  const std::map<std::string, at::Tensor> start = copies(trainer.optimizer().state());
  const StepResult whole = trainer.step(data, all(data), 1e-2);
  const std::map<std::string, at::Tensor> wanted = copies(trainer.optimizer().state());
  trainer.optimizer().restore(start);

  double weight = 0;
  for (int64_t index : all(data)) weight += data.example(index).weight();
  const at::Tensor sum = at::zeros({trainer.optimizer().gradient_size()}, at::kFloat);
  const at::Tensor flat = at::empty_like(sum);
  StepResult total;
  for (const std::vector<int64_t>& part : std::vector<std::vector<int64_t>>{{4, 0}, {}, {1, 2, 3}}) {
    const StepResult result = trainer.accumulate(data, part, weight);
    trainer.optimizer().copy_gradients(flat);
    sum.add_(flat);
    total.loss += result.loss;
    total.rows += result.rows;
    total.tokens += result.tokens;
    total.supervised_tokens += result.supervised_tokens;
  }
  EXPECT_NEAR(total.loss, whole.loss, 1e-6 * whole.loss);
  EXPECT_EQ(total.rows, whole.rows);
  EXPECT_EQ(total.tokens, whole.tokens);
  EXPECT_EQ(total.supervised_tokens, whole.supervised_tokens);
  trainer.optimizer().set_gradients(sum);
  EXPECT_NEAR(trainer.update(1e-2), whole.gradient_norm, 1e-5 * whole.gradient_norm);
  for (const auto& [name, tensor] : trainer.optimizer().state()) {
    EXPECT_LT(relative_error(tensor, wanted.at(name)), 1e-4) << name;
  }
  for (const LedgerEntry& entry : data.ledger()) EXPECT_EQ(entry.times_seen, 2);
}

TEST(Trainer, AnUpdateWithAGradientThatIsNotFiniteChangesNothing) {
  Decoder decoder = tiny_decoder();
  std::vector<Parameter> parameters = lora_parameters(decoder);
  Trainer trainer(decoder, parameters, {});
  const at::Tensor flat = at::zeros({trainer.optimizer().gradient_size()}, at::kFloat);
  flat.narrow(0, 3, 1).fill_(std::numeric_limits<float>::infinity());
  const at::Tensor before = parameters[0].master.clone();
  trainer.optimizer().set_gradients(flat);
  EXPECT_NE(failure([&] { trainer.update(1e-2); }).find("gradient of the step is not finite"), std::string::npos);
  EXPECT_TRUE(parameters[0].master.equal(before));
  EXPECT_EQ(trainer.optimizer().step_count(), 0);
}

TEST(Trainer, FlatGradientsOfAnotherSizeAreRefused) {
  Decoder decoder = tiny_decoder();
  std::vector<Parameter> parameters = lora_parameters(decoder);
  Trainer trainer(decoder, parameters, {});
  const int64_t size = trainer.optimizer().gradient_size();
  EXPECT_NE(failure([&] { trainer.optimizer().set_gradients(at::zeros({size + 1}, at::kFloat)); }), "");
  EXPECT_NE(failure([&] { trainer.optimizer().copy_gradients(at::zeros({size}, at::kDouble)); }), "");
}

TEST(Trainer, AStepWithoutRowsOrRoomIsRefused) {
  Decoder decoder = tiny_decoder();
  std::vector<Parameter> parameters = lora_parameters(decoder);
  Dataset data = make_dataset();
  Trainer trainer(decoder, parameters, {});
  EXPECT_NE(failure([&] { trainer.step(data, {}, 1e-2); }), "");
  EXPECT_NE(failure([&] { trainer.step(data, {99}, 1e-2); }), "");
  TrainerSettings settings;
  settings.micro_tokens = 0;
  EXPECT_THROW(Trainer(decoder, parameters, settings), InputError);
}

}  // namespace
}  // namespace luthier
