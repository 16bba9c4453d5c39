// Contracts as in luthier/ops/token_logprob.h.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/ops/token_logprob.h"

namespace luthier::cpu {

/// Through packed bf16 tiles (brgemm). hidden and head bf16, with an even number of columns, no soft cap.
bool packed_logprob_takes(at::ScalarType type, int64_t columns);
void packed_logprob_forward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets, double scale,
                            at::Tensor& log_probs, at::Tensor& log_sum_exp);
void packed_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets, double scale,
                             const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs, at::Tensor& d_hidden,
                             at::Tensor d_head, int64_t first);
/// The bytes that backward allocates, the more of the two.
int64_t packed_logprob_scratch_bytes(int64_t rows, int64_t columns, int64_t vocabulary, bool head_trained);

/// Through fp32 products of tiles of the vocabulary; takes everything.
void tiled_logprob_forward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const LogitMap& map, at::Tensor& log_probs, at::Tensor& log_sum_exp);
void tiled_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                            const LogitMap& map, const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs,
                            at::Tensor& d_hidden, at::Tensor d_head, int64_t first);
int64_t tiled_logprob_scratch_bytes(int64_t rows, int64_t columns, int64_t vocabulary, at::ScalarType type);
void logits_forward(const at::Tensor& hidden, const at::Tensor& head, const LogitMap& map, at::Tensor& logits);

}  // namespace luthier::cpu
