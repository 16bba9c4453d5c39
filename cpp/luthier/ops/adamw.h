// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2) and the norm it is clipped
// by.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier {

struct AdamWSettings {
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
};

/// One update in place, in the order of torch.optim.AdamW: decay, moments, bias-corrected step. All tensors fp32,
/// contiguous and of one size; the gradient is multiplied by gradient_scale first (clipping); step counts from 1.
void adamw_step(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment, at::Tensor& second_moment,
                const AdamWSettings& settings, int64_t step, double gradient_scale);

/// The sum of squares of an fp32 tensor, taken in double in a fixed order: not finite if an element is not.
double squared_norm(const at::Tensor& gradient);

}  // namespace luthier
