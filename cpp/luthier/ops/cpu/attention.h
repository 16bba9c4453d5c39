// Attention on x86 processors with AVX2 and wider: tiles of scores, an online softmax, nothing kept but its logarithm.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/ops/attention_plan.h"

namespace luthier::cpu {

/// As luthier::attention_forward; fp32 or bf16, a positive scale. (Dao, "FlashAttention-2", 2023, algorithm 1.)
void attention_forward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       at::Tensor& out, at::Tensor& log_sum_exp);

/// As luthier::attention_backward. The sums over queries are split into parts by the shape of the plan and the number
/// of threads, and the parts added in order: equal runs give equal bits. (FlashAttention-2, algorithm 2.)
void attention_backward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& out, const at::Tensor& log_sum_exp, const at::Tensor& d_out, at::Tensor& d_q,
                        at::Tensor& d_k, at::Tensor& d_v);

/// As luthier::attention_scratch_bytes: the memory of the threads and the partial sums of shared keys.
int64_t attention_scratch_bytes(const AttentionPlan& plan, at::ScalarType type);

}  // namespace luthier::cpu
