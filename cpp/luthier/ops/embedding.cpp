#include "luthier/ops/embedding.h"

#include "luthier/base/error.h"
#include "luthier/ops/check.h"
#include "luthier/ops/cpu/embedding.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/op_timer.h"
#include "luthier/ops/reference/embedding.h"

namespace luthier {

void embedding_forward(const at::Tensor& tokens, const at::Tensor& table, double scale, at::Tensor& out) {
  constexpr const char* kName = "embedding";
  check_dimensions(kName, "tokens", tokens, 1);
  check_dimensions(kName, "table", table, 2);
  check_typed(kName, "tokens", tokens, {tokens.size(0)}, at::kInt);
  check_floating(kName, "table", table, table.sizes());
  check_like(kName, "out", out, {tokens.size(0), table.size(1)}, table);
  check_indices(kName, "tokens", tokens, table.size(0));
  if (out.numel() == 0) return;
  const OpTimer timer("embedding",
                      [&] { return OpWork{scale == 1 ? 0.0 : 1.0 * out.numel(), operand_bytes(tokens, out, out)}; });
  if (instruction_set() == InstructionSet::reference) {
    reference::embedding_forward(tokens, table, scale, out);
  } else {
    cpu::embedding_forward(tokens, table, scale, out);
  }
}

void embedding_backward(const at::Tensor& tokens, const at::Tensor& d_out, double scale, at::Tensor& d_table,
                        int64_t first) {
  constexpr const char* kName = "embedding_backward";
  check_dimensions(kName, "tokens", tokens, 1);
  check_dimensions(kName, "d_table", d_table, 2);
  check_typed(kName, "tokens", tokens, {tokens.size(0)}, at::kInt);
  check_typed(kName, "d_table", d_table, d_table.sizes(), at::kFloat);
  check_floating(kName, "d_out", d_out, {tokens.size(0), d_table.size(1)});
  LUTHIER_CHECK(first >= 0, "[", kName, "] the first row is ", first);
  if (d_out.numel() == 0) return;
  const OpTimer timer("embedding backward", [&] {
    const double added = 2.0 * d_out.numel() * d_table.element_size();
    return OpWork{2.0 * d_out.numel(), operand_bytes(tokens, d_out) + added};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::embedding_backward(tokens, d_out, scale, d_table, first);
  } else {
    cpu::embedding_backward(tokens, d_out, scale, d_table, first);
  }
}

}  // namespace luthier
