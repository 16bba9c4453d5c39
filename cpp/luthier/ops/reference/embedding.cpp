#include "luthier/ops/reference/embedding.h"

#include "luthier/ops/reference/precision.h"

namespace luthier::reference {

void embedding_forward(const at::Tensor& tokens, const at::Tensor& table, double scale, at::Tensor& out) {
  out.copy_(widen(table.index_select(0, tokens)) * scale);
}

void embedding_backward(const at::Tensor& tokens, const at::Tensor& d_out, double scale, at::Tensor& d_table,
                        int64_t first) {
  const at::Tensor inside = tokens.ge(first).logical_and(tokens.lt(first + d_table.size(0))).nonzero().squeeze(1);
  d_table.index_add_(0, tokens.index_select(0, inside) - first, widen(d_out.index_select(0, inside)) * scale);
}

}  // namespace luthier::reference
