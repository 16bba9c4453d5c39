#include "luthier/ops/token_logprob.h"

#include "luthier/base/error.h"
#include "luthier/ops/check.h"
#include "luthier/ops/cpu/token_logprob.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/op_timer.h"
#include "luthier/ops/reference/token_logprob.h"

namespace luthier {
namespace {

void check_operands(const char* name, const at::Tensor& hidden, const at::Tensor& head) {
  check_dimensions(name, "hidden", hidden, 2);
  check_dimensions(name, "head", head, 2);
  check_floating(name, "hidden", hidden, hidden.sizes());
  check_like(name, "head", head, {head.size(0), hidden.size(1)}, hidden);
}

void check_targets(const char* name, const at::Tensor& targets, int64_t rows, int64_t vocabulary) {
  check_typed(name, "targets", targets, {rows}, at::kInt);
  check_indices(name, "targets", targets, vocabulary);
}

/// Whether the packed implementation takes these operands; it knows no soft cap, the tiled one takes everything.
bool is_packed(at::ScalarType type, int64_t columns, const LogitMap& map) {
  return map.soft_cap == 0 && cpu::packed_logprob_takes(type, columns);
}

}  // namespace

void token_logprob_forward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const LogitMap& map, at::Tensor& log_probs, at::Tensor& log_sum_exp) {
  constexpr const char* kName = "token_logprob";
  check_operands(kName, hidden, head);
  const int64_t rows = hidden.size(0);
  check_targets(kName, targets, rows, head.size(0));
  check_typed(kName, "log_probs", log_probs, {rows}, at::kFloat);
  check_typed(kName, "log_sum_exp", log_sum_exp, {rows}, at::kFloat);
  if (rows == 0) return;
  const OpTimer timer("token_logprob", [&] {
    return OpWork{product_flops(rows, hidden.size(1), head.size(0)),
                  operand_bytes(hidden, head, targets, log_probs, log_sum_exp)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::token_logprob_forward(hidden, head, targets, map, log_probs, log_sum_exp);
  } else if (is_packed(hidden.scalar_type(), hidden.size(1), map)) {
    cpu::packed_logprob_forward(hidden, head, targets, map.scale, log_probs, log_sum_exp);
  } else {
    cpu::tiled_logprob_forward(hidden, head, targets, map, log_probs, log_sum_exp);
  }
}

void token_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                            const LogitMap& map, const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs,
                            at::Tensor& d_hidden, at::Tensor d_head, int64_t first) {
  constexpr const char* kName = "token_logprob_backward";
  check_operands(kName, hidden, head);
  const int64_t rows = hidden.size(0);
  check_targets(kName, targets, rows, head.size(0));
  check_typed(kName, "log_sum_exp", log_sum_exp, {rows}, at::kFloat);
  check_typed(kName, "d_log_probs", d_log_probs, {rows}, at::kFloat);
  check_like(kName, "d_hidden", d_hidden, hidden.sizes(), hidden);
  const int64_t trained = d_head.defined() ? d_head.size(0) : 0;
  if (d_head.defined()) {
    check_typed(kName, "d_head", d_head, {trained, hidden.size(1)}, at::kFloat);
    LUTHIER_CHECK(first >= 0 && first + trained <= head.size(0), "[", kName, "] d_head has the rows ", first, " to ",
                  first + trained, " of a head of ", head.size(0));
  }
  if (rows == 0) return;
  const OpTimer timer("token_logprob backward", [&] {
    // The logits are not kept: they are computed again, and multiplied by the head for d_hidden, by hidden for d_head.
    return OpWork{2 * product_flops(rows, hidden.size(1), head.size(0)) + product_flops(rows, hidden.size(1), trained),
                  operand_bytes(hidden, head, targets, log_sum_exp, d_log_probs, d_hidden, d_head, d_head)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::token_logprob_backward(hidden, head, targets, map, log_sum_exp, d_log_probs, d_hidden, d_head, first);
  } else if (is_packed(hidden.scalar_type(), hidden.size(1), map)) {
    cpu::packed_logprob_backward(hidden, head, targets, map.scale, log_sum_exp, d_log_probs, d_hidden, d_head, first);
  } else {
    cpu::tiled_logprob_backward(hidden, head, targets, map, log_sum_exp, d_log_probs, d_hidden, d_head, first);
  }
}

int64_t token_logprob_scratch_bytes(int64_t rows, int64_t columns, int64_t vocabulary, at::ScalarType type,
                                    const LogitMap& map, bool head_trained) {
  if (instruction_set() == InstructionSet::reference) {
    // The logits, their gradient and an intermediate result, all in fp32; and the head, where it has to be widened.
    return (3 * rows * vocabulary + (type == at::kFloat ? 0 : vocabulary * columns)) * int64_t{sizeof(float)};
  }
  return is_packed(type, columns, map) ? cpu::packed_logprob_scratch_bytes(rows, columns, vocabulary, head_trained)
                                       : cpu::tiled_logprob_scratch_bytes(rows, columns, vocabulary, type);
}

void logits_forward(const at::Tensor& hidden, const at::Tensor& head, const LogitMap& map, at::Tensor& logits) {
  constexpr const char* kName = "logits";
  check_operands(kName, hidden, head);
  check_typed(kName, "logits", logits, {hidden.size(0), head.size(0)}, at::kFloat);
  if (logits.numel() == 0) return;
  const OpTimer timer("logits", [&] {
    return OpWork{product_flops(hidden.size(0), hidden.size(1), head.size(0)), operand_bytes(hidden, head, logits)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::logits_forward(hidden, head, map, logits);
  } else {
    cpu::logits_forward(hidden, head, map, logits);
  }
}

}  // namespace luthier
