#include "luthier/ops/attention.h"

#include "luthier/base/error.h"
#include "luthier/ops/cpu/attention.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/op_timer.h"
#include "luthier/ops/reference/attention.h"

namespace luthier {
namespace {

void check_rows(const char* name, const at::Tensor& x, int64_t rows, int64_t heads, int64_t size,
                const at::Tensor& like) {
  LUTHIER_CHECK(x.dim() == 3 && x.size(0) == rows && x.size(1) == heads && x.size(2) == size, "[attention] ", name,
                " is ", x.sizes(), ", not [", rows, ", ", heads, ", ", size, "]");
  LUTHIER_CHECK((size == 1 || x.stride(2) == 1) && (heads == 1 || x.stride(1) == size),
                "[attention] the heads of a row of ", name, " are not contiguous: strides ", x.strides());
  LUTHIER_CHECK(x.scalar_type() == like.scalar_type() && x.device() == like.device(), "[attention] ", name, " is ",
                x.scalar_type(), " on ", x.device(), ", q is ", like.scalar_type(), " on ", like.device());
}

void check_log_sum_exp(const AttentionPlan& plan, const at::Tensor& x, const at::Tensor& q) {
  LUTHIER_CHECK(x.dim() == 2 && x.size(0) == plan.queries && x.size(1) == plan.shape.heads && x.is_contiguous(),
                "[attention] log_sum_exp is ", x.sizes(), ", not a contiguous [", plan.queries, ", ", plan.shape.heads,
                "]");
  LUTHIER_CHECK(x.scalar_type() == (q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat),
                "[attention] log_sum_exp is ", x.scalar_type(), ", not float");
}

void check_inputs(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto type = q.scalar_type();
  LUTHIER_CHECK(type == at::kFloat || type == at::kBFloat16 || type == at::kDouble, "[attention] q is ", type,
                ", not float or bfloat16");
  check_rows("q", q, plan.queries, plan.shape.heads, plan.shape.head_size, q);
  check_rows("k", k, plan.keys, plan.shape.key_heads, plan.shape.head_size, q);
  check_rows("v", v, plan.keys, plan.shape.key_heads, plan.shape.head_size, q);
}

/// The operations of as many products over all pairs and heads, without those of the softmax.
double product_flops_of_heads(const AttentionPlan& plan, int64_t products) {
  return static_cast<double>(plan.shape.heads) * product_flops(attention_pairs(plan), products, plan.shape.head_size);
}

/// Whether the tiled implementation takes these tensors; the reference takes all.
bool is_tiled(const AttentionPlan& plan, const at::Tensor& q) {
  return q.is_cpu() && q.scalar_type() != at::kDouble && plan.shape.scale > 0 &&
         instruction_set() != InstructionSet::reference;
}

}  // namespace

void attention_forward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       at::Tensor& out, at::Tensor& log_sum_exp) {
  check_inputs(plan, q, k, v);
  check_rows("out", out, plan.queries, plan.shape.heads, plan.shape.head_size, q);
  check_log_sum_exp(plan, log_sum_exp, q);
  const OpTimer timer(
      "attention", [&] { return OpWork{product_flops_of_heads(plan, 2), operand_bytes(q, k, v, out, log_sum_exp)}; });
  const auto forward = is_tiled(plan, q) ? cpu::attention_forward : reference::attention_forward;
  forward(plan, q, k, v, out, log_sum_exp);
}

void attention_backward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& out, const at::Tensor& log_sum_exp, const at::Tensor& d_out, at::Tensor& d_q,
                        at::Tensor& d_k, at::Tensor& d_v) {
  check_inputs(plan, q, k, v);
  check_log_sum_exp(plan, log_sum_exp, q);
  const AttentionShape& shape = plan.shape;
  check_rows("out", out, plan.queries, shape.heads, shape.head_size, q);
  check_rows("d_out", d_out, plan.queries, shape.heads, shape.head_size, q);
  check_rows("d_q", d_q, plan.queries, shape.heads, shape.head_size, q);
  check_rows("d_k", d_k, plan.keys, shape.key_heads, shape.head_size, q);
  check_rows("d_v", d_v, plan.keys, shape.key_heads, shape.head_size, q);
  const OpTimer timer("attention backward", [&] {
    // The scores are not kept; with them computed again, five products over the pairs.
    return OpWork{product_flops_of_heads(plan, 5),
                  operand_bytes(q, k, v, out, log_sum_exp, d_out, d_q) + operand_bytes(d_k, d_v)};
  });
  const auto backward = is_tiled(plan, q) ? cpu::attention_backward : reference::attention_backward;
  backward(plan, q, k, v, out, log_sum_exp, d_out, d_q, d_k, d_v);
}

int64_t attention_scratch_bytes(const AttentionPlan& plan, at::ScalarType type) {
  if (instruction_set() != InstructionSet::reference) return cpu::attention_scratch_bytes(plan, type);
  // The reference holds scores, probabilities, their gradients and two intermediate results at a time.
  return 6 * plan.shape.heads * plan.queries * plan.keys * int64_t{sizeof(float)};
}

}  // namespace luthier
