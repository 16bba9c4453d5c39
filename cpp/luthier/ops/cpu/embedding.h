// Contracts as in luthier/ops/embedding.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier::cpu {

void embedding_forward(const at::Tensor& tokens, const at::Tensor& table, double scale, at::Tensor& out);
void embedding_backward(const at::Tensor& tokens, const at::Tensor& d_out, double scale, at::Tensor& d_table,
                        int64_t first);

}  // namespace luthier::cpu
