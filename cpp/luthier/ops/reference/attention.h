// The specification of attention: plain ATen over a dense mask, on any device, in fp32, or in fp64 for fp64 tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/ops/attention_plan.h"

namespace luthier::reference {

/// As luthier::attention_forward. Needs memory for heads x queries x keys scores.
void attention_forward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       at::Tensor& out, at::Tensor& log_sum_exp);

/// As luthier::attention_backward.
void attention_backward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& out, const at::Tensor& log_sum_exp, const at::Tensor& d_out, at::Tensor& d_q,
                        at::Tensor& d_k, at::Tensor& d_v);

}  // namespace luthier::reference
