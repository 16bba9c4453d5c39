#include "luthier/ops/cpu/adamw.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "luthier/ops/cpu/vectorize.h"

namespace luthier::cpu {
namespace {

struct Factors {
  float gradient, decay, first, second_old, second_new, step, inverse_correction, epsilon;
};

LUTHIER_INLINE void update(float* parameter, const float* gradient, float* first, float* second, const Factors f,
                           int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * f.gradient;
    const float m = first[i] + f.first * (g - first[i]);
    const float v = second[i] * f.second_old + g * g * f.second_new;
    first[i] = m;
    second[i] = v;
    parameter[i] = parameter[i] * f.decay - f.step * m / (std::sqrt(v) * f.inverse_correction + f.epsilon);
  }
}

LUTHIER_INLINE double sum_of_squares(const float* values, int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  return sum;
}

constexpr int64_t kGrain = 16384;
constexpr int64_t kBlock = 4096;  // summed on its own, so that the result is the same for any number of threads

}  // namespace

void adamw_step(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment, at::Tensor& second_moment,
                const AdamWSettings& settings, int64_t step, double gradient_scale) {
  const double correction1 = 1 - std::pow(settings.beta1, step), correction2 = 1 - std::pow(settings.beta2, step);
  const Factors factors{.gradient = static_cast<float>(gradient_scale),
                        .decay = static_cast<float>(1 - settings.learning_rate * settings.weight_decay),
                        .first = static_cast<float>(1 - settings.beta1),
                        .second_old = static_cast<float>(settings.beta2),
                        .second_new = static_cast<float>(1 - settings.beta2),
                        .step = static_cast<float>(settings.learning_rate / correction1),
                        .inverse_correction = static_cast<float>(1 / std::sqrt(correction2)),
                        .epsilon = static_cast<float>(settings.epsilon)};
  float *values = parameter.mutable_data_ptr<float>(), *first = first_moment.mutable_data_ptr<float>();
  float* second = second_moment.mutable_data_ptr<float>();
  const float* gradients = gradient.const_data_ptr<float>();
  at::parallel_for(0, parameter.numel(), kGrain, [&](int64_t begin, int64_t end) {
    vectorized([&]() LUTHIER_INLINE_LAMBDA {
      update(values + begin, gradients + begin, first + begin, second + begin, factors, end - begin);
    });
  });
}

double squared_norm(const at::Tensor& gradient) {
  const float* values = gradient.const_data_ptr<float>();
  const int64_t count = gradient.numel(), blocks = (count + kBlock - 1) / kBlock;
  std::vector<double> partial(blocks);
  at::parallel_for(0, blocks, 4, [&](int64_t begin, int64_t end) {
    vectorized([&]() LUTHIER_INLINE_LAMBDA {
      for (int64_t block = begin; block < end; ++block) {
        partial[block] = sum_of_squares(values + block * kBlock, std::min(kBlock, count - block * kBlock));
      }
    });
  });
  double sum = 0;
  for (const double part : partial) sum += part;
  return sum;
}

}  // namespace luthier::cpu
