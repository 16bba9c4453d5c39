// The log-probability of given tokens under a softmax over the vocabulary. The logits exist only a tile at a time.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier {

/// What stands between head hidden and the logits z: z = scale * head hidden, and where there is a soft cap
/// z = cap tanh(scale * head hidden / cap) (Gemma Team, "Gemma 2", 2024, section 2).
struct LogitMap {
  LogitMap(double scale = 1, double soft_cap = 0) : scale(scale), soft_cap(soft_cap) {}
  double scale;
  double soft_cap;  // 0: none
};

/// log_probs[r] = z[targets[r]] - log sum_v exp(z[v]) with the logits z of hidden[r]. hidden [R, E] and head
/// [V, E], fp32 or bf16; targets [R] int32; log_probs and log_sum_exp [R] fp32. Exponentials and sums are taken in
/// fp32.
void token_logprob_forward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const LogitMap& map, at::Tensor& log_probs, at::Tensor& log_sum_exp);

/// d_hidden[r] = d_log_probs[r] * (s[targets[r]] head[targets[r]] - sum_v p[v] s[v] head[v]), overwritten, with the
/// slopes s = scale, or scale (1 - (z / cap)^2) under a soft cap. d_log_probs [R] fp32; d_hidden [R, E] of hidden's
/// type. d_head [N, E] fp32 is added to when it is given (undefined: a frozen head): the gradient of the head's rows
/// [first, first + N), usually all V of them.
void token_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                            const LogitMap& map, const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs,
                            at::Tensor& d_hidden, at::Tensor d_head, int64_t first = 0);

/// The bytes that token_logprob_backward allocates while it runs; forward takes less.
int64_t token_logprob_scratch_bytes(int64_t rows, int64_t columns, int64_t vocabulary, at::ScalarType type,
                                    const LogitMap& map, bool head_trained);

/// The logits z of each row, whole in fp32, for decoding and inspection. logits [R, V] fp32.
void logits_forward(const at::Tensor& hidden, const at::Tensor& head, const LogitMap& map, at::Tensor& logits);

}  // namespace luthier
