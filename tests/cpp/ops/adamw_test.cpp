#include "luthier/ops/adamw.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "dense_cases.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

constexpr AdamWSettings kSettings{
    .learning_rate = 3e-3, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1};

// Loshchilov and Hutter, 2019, algorithm 2, one element at a time in double.
struct Truth {
  double parameter, first = 0, second = 0;
  void step(double gradient, int64_t t) {
    parameter -= kSettings.learning_rate * kSettings.weight_decay * parameter;
    first = kSettings.beta1 * first + (1 - kSettings.beta1) * gradient;
    second = kSettings.beta2 * second + (1 - kSettings.beta2) * gradient * gradient;
    const double m = first / (1 - std::pow(kSettings.beta1, t)), v = second / (1 - std::pow(kSettings.beta2, t));
    parameter -= kSettings.learning_rate * m / (std::sqrt(v) + kSettings.epsilon);
  }
};

TEST(AdamW, follows_the_published_algorithm_over_steps) {
  for (const int64_t count : {int64_t{1}, int64_t{37}, int64_t{70001}}) {
    testing::on_every_path([&](at::ScalarType) {
      at::Tensor parameter = testing::normal({count}, at::kFloat, 1);
      at::Tensor first = at::zeros_like(parameter), second = at::zeros_like(parameter);
      std::vector<Truth> truth;
      for (int64_t i = 0; i < count; ++i) truth.push_back({parameter[i].item<double>()});
      for (int64_t t = 1; t <= 3; ++t) {
        const at::Tensor gradient = testing::normal({count}, at::kFloat, 10 + t);
        adamw_step(parameter, gradient, first, second, kSettings, t, 0.5);
        const float* values = gradient.const_data_ptr<float>();
        for (int64_t i = 0; i < count; ++i) truth[i].step(0.5 * values[i], t);
      }
      double error = 0;
      for (int64_t i = 0; i < count; ++i) {
        error = std::max(error, std::abs(parameter.const_data_ptr<float>()[i] - truth[i].parameter));
        error = std::max(error, std::abs(first.const_data_ptr<float>()[i] - truth[i].first));
        error = std::max(error, std::abs(second.const_data_ptr<float>()[i] - truth[i].second));
      }
      EXPECT_LE(error, 2e-6);
    });
  }
}

TEST(AdamW, squared_norm_sums_in_double_and_shows_what_is_not_finite) {
  testing::on_every_path([](at::ScalarType) {
    at::Tensor gradient = testing::normal({300001}, at::kFloat, 1, 1e3);
    const double norm = squared_norm(gradient);
    EXPECT_NEAR(norm / gradient.to(at::kDouble).square().sum().item<double>(), 1, 1e-12);
    EXPECT_EQ(squared_norm(gradient), norm);
    gradient[299999] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(std::isfinite(squared_norm(gradient)));
    gradient[299999] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(std::isfinite(squared_norm(gradient)));
    EXPECT_EQ(squared_norm(at::zeros({0}, at::kFloat)), 0);
  });
}

TEST(AdamW, refuses_tensors_of_other_sizes_types_and_layouts) {
  at::Tensor parameter = testing::normal({4, 6}, at::kFloat, 1), gradient = at::zeros_like(parameter);
  at::Tensor first = at::zeros_like(parameter), second = at::zeros_like(parameter), flat = at::zeros({24}, at::kFloat);
  at::Tensor turned = at::zeros({6, 4}, at::kFloat).t();
  EXPECT_THROW(adamw_step(parameter, flat, first, second, kSettings, 1, 1), Error);
  EXPECT_THROW(adamw_step(parameter, gradient, turned, second, kSettings, 1, 1), Error);
  EXPECT_THROW(adamw_step(parameter, gradient.to(at::kBFloat16), first, second, kSettings, 1, 1), Error);
  EXPECT_THROW(adamw_step(parameter, gradient, first, second, kSettings, 0, 1), Error);
  EXPECT_NO_THROW(adamw_step(parameter, gradient, first, second, kSettings, 1, 1));
}

}  // namespace
}  // namespace luthier
