// Contracts as in luthier/ops/token_logprob.h, with the whole logits matrix; double tensors are allowed too.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/ops/token_logprob.h"

namespace luthier::reference {

void token_logprob_forward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const LogitMap& map, at::Tensor& log_probs, at::Tensor& log_sum_exp);
void token_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                            const LogitMap& map, const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs,
                            at::Tensor& d_hidden, at::Tensor d_head, int64_t first);
void logits_forward(const at::Tensor& hidden, const at::Tensor& head, const LogitMap& map, at::Tensor& logits);

}  // namespace luthier::reference
