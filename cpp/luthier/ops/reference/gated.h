// Contracts as in luthier/ops/gated.h; double tensors are allowed too.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/ops/gated.h"

namespace luthier::reference {

void gated_forward(const at::Tensor& gate_up, Activation activation, at::Tensor& out);
void gated_backward(const at::Tensor& gate_up, const at::Tensor& d_out, Activation activation, at::Tensor& d_gate_up,
                    at::Tensor out);

}  // namespace luthier::reference
