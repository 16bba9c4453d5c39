// Rows of a table picked by token.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier {

/// out[t] = table[tokens[t]] * scale. tokens [T] int32; table [V, E] fp32 or bf16; out [T, E] of the table's type.
/// Throws Error when a token lies outside the table.
void embedding_forward(const at::Tensor& tokens, const at::Tensor& table, double scale, at::Tensor& out);

/// d_table[tokens[t] - first] += d_out[t] * scale, in the order of t, for the tokens in [first, first + N); the others
/// are left out. d_out [T, E]; d_table [N, E] fp32: the gradient of the table's rows from `first` on.
void embedding_backward(const at::Tensor& tokens, const at::Tensor& d_out, double scale, at::Tensor& d_table,
                        int64_t first = 0);

}  // namespace luthier
