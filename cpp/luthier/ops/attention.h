// Softmax attention over a prefix forest, forward and backward, with grouped keys and values.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/ops/attention_plan.h"

namespace luthier {

/// out[i, h] = sum_j softmax_j(scale q[i, h] . k[j, g(h)]) v[j, g(h)] over the rows j that the plan lets query i see,
/// g(h) = h / (heads / key_heads). q, out [Q, heads, head_size]; k, v [K, key_heads, head_size], fp32 or bf16; heads of
/// a row are contiguous, rows may be strided. log_sum_exp [Q, heads] fp32 gets the logarithm of the softmax's
/// denominator. Rows of k and v that no query sees may hold anything.
void attention_forward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       at::Tensor& out, at::Tensor& log_sum_exp);

/// d_q, d_k and d_v are overwritten (zero for a key that no query sees); shapes and strides as forward's. Sums over
/// queries are taken in fp32 and in a fixed order (Dao et al., "FlashAttention", 2022, algorithm 4).
void attention_backward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& out, const at::Tensor& log_sum_exp, const at::Tensor& d_out, at::Tensor& d_q,
                        at::Tensor& d_k, at::Tensor& d_v);

/// The bytes that attention_backward allocates while it runs on operands of this type; attention_forward takes less.
int64_t attention_scratch_bytes(const AttentionPlan& plan, at::ScalarType type);

}  // namespace luthier
