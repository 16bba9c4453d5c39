// Contracts as in luthier/ops/adamw.h; double tensors are allowed too.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/ops/adamw.h"

namespace luthier::reference {

void adamw_step(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment, at::Tensor& second_moment,
                const AdamWSettings& settings, int64_t step, double gradient_scale);
double squared_norm(const at::Tensor& gradient);

}  // namespace luthier::reference
