#include "luthier/ops/reference/adamw.h"

#include <ATen/TensorOperators.h>

#include <cmath>

namespace luthier::reference {

void adamw_step(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment, at::Tensor& second_moment,
                const AdamWSettings& settings, int64_t step, double gradient_scale) {
  const at::Tensor scaled = gradient * gradient_scale;
  parameter.mul_(1 - settings.learning_rate * settings.weight_decay);
  first_moment.lerp_(scaled, 1 - settings.beta1);
  second_moment.mul_(settings.beta2).addcmul_(scaled, scaled, 1 - settings.beta2);
  const double correction1 = 1 - std::pow(settings.beta1, step);
  const double correction2 = 1 - std::pow(settings.beta2, step);
  const at::Tensor denominator = second_moment.sqrt().div_(std::sqrt(correction2)).add_(settings.epsilon);
  parameter.addcdiv_(first_moment, denominator, -settings.learning_rate / correction1);
}

double squared_norm(const at::Tensor& gradient) { return gradient.to(at::kDouble).square().sum().item<double>(); }

}  // namespace luthier::reference
