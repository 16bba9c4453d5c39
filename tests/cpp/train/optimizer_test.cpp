#include "luthier/train/optimizer.h"

#include <ATen/ops/sqrt.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../model/tiny_decoder.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

using testing::relative_error;
using testing::uniform;

// A matrix whose gradient is of a scaled copy, as LoRA's B has, and a vector.
std::vector<Parameter> two_parameters() {
  std::vector<Parameter> parameters;
  const at::Tensor matrix = uniform({3, 4}, 1), vector = uniform({5}, 2);
  parameters.push_back({"matrix", matrix, uniform({3, 4}, 3), 2.0, matrix.mul(2), 2.0});
  parameters.push_back({"vector", vector, uniform({5}, 4), 1.0, vector.clone(), 1.0});
  return parameters;
}

double norm_of(const std::vector<Parameter>& parameters) {
  double sum = 0;
  for (const Parameter& p : parameters) {
    const double norm = p.gradient.to(at::kDouble).norm().item<double>() * p.gradient_scale;
    sum += norm * norm;
  }
  return std::sqrt(sum);
}

TEST(Optimizer, TheNormIsThatOfTheMastersGradient) {
  std::vector<Parameter> parameters = two_parameters();
  EXPECT_NEAR(Optimizer(parameters, {}, 0).gradient_norm(), norm_of(parameters), 1e-6);
}

TEST(Optimizer, StepsFollowTheFormulaAndDecayMatricesOnly) {
  const double rate = 0.1, decay = 0.3, clip_at = 0.5;
  std::vector<Parameter> parameters = two_parameters();
  AdamWSettings settings;
  settings.weight_decay = decay;
  Optimizer optimizer(parameters, settings, clip_at);
  std::vector<at::Tensor> value, first, second;
  for (const Parameter& p : parameters) {
    value.push_back(p.master.to(at::kDouble));
    first.push_back(at::zeros_like(value.back()));
    second.push_back(at::zeros_like(value.back()));
  }
  for (int step = 1; step <= 4; ++step) {
    for (Parameter& p : parameters) p.gradient = uniform(p.master.sizes(), 100 + step);
    const double norm = norm_of(parameters), clip = std::min(1.0, clip_at / (norm + 1e-6));
    EXPECT_LT(clip, 1) << "the gradient should be clipped";
    for (size_t i = 0; i < parameters.size(); ++i) {
      const at::Tensor g = parameters[i].gradient.to(at::kDouble) * (parameters[i].gradient_scale * clip);
      if (i == 0) value[i] *= 1 - rate * decay;
      first[i] = 0.9 * first[i] + 0.1 * g;
      second[i] = 0.999 * second[i] + 0.001 * g * g;
      const at::Tensor root = at::sqrt(second[i] / (1 - std::pow(0.999, step))) + 1e-8;
      value[i] -= rate * (first[i] / (1 - std::pow(0.9, step))) / root;
    }
    optimizer.step(rate, optimizer.gradient_norm());
    for (size_t i = 0; i < parameters.size(); ++i) {
      EXPECT_LT(relative_error(parameters[i].master, value[i]), 1e-5) << "step " << step << ", " << parameters[i].name;
      EXPECT_LT(relative_error(parameters[i].read, value[i] * parameters[i].read_scale), 1e-5) << "what is read";
    }
  }
  EXPECT_EQ(optimizer.step_count(), 4);
}

TEST(Optimizer, WithoutAClipTheGradientIsTakenWhole) {
  std::vector<Parameter> clipped = two_parameters(), whole = two_parameters();
  Optimizer(clipped, {}, 1e9).step(0.1, norm_of(clipped));
  Optimizer(whole, {}, 0).step(0.1, norm_of(whole));
  EXPECT_TRUE(clipped[0].master.equal(whole[0].master));
}

TEST(Optimizer, ARestoredOneGoesOnWithTheSameBits) {
  std::vector<Parameter> parameters = two_parameters();
  Optimizer optimizer(parameters, {}, 1);
  optimizer.step(0.1, optimizer.gradient_norm());
  std::map<std::string, at::Tensor> state;
  for (const auto& [name, tensor] : optimizer.state()) state[name] = tensor.clone();
  optimizer.step(0.1, optimizer.gradient_norm());

  std::vector<Parameter> others = two_parameters();
  Optimizer resumed(others, {}, 1);
  resumed.restore(state);
  EXPECT_EQ(resumed.step_count(), 1);
  EXPECT_TRUE(others[0].read.equal(others[0].master.mul(2))) << "restored masters are published";
  resumed.step(0.1, resumed.gradient_norm());
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(others[i].master.equal(parameters[i].master));
}

TEST(Optimizer, AStateThatDoesNotFitIsRefusedAndNothingIsSet) {
  std::vector<Parameter> parameters = two_parameters();
  Optimizer optimizer(parameters, {}, 1);
  auto state = optimizer.state();
  state["master.matrix"] = uniform({3, 4}, 50);
  auto missing = state, wrong = state;
  missing.erase("second_moment.vector");
  wrong["first_moment.vector"] = uniform({6}, 1);
  EXPECT_THROW(optimizer.restore(missing), InputError);
  EXPECT_THROW(optimizer.restore(wrong), InputError);
  EXPECT_TRUE(parameters[0].master.equal(uniform({3, 4}, 1)));
}

}  // namespace
}  // namespace luthier
