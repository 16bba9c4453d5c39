#include "luthier/ops/rms_norm.h"

#include "luthier/ops/check.h"
#include "luthier/ops/cpu/rms_norm.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/op_timer.h"
#include "luthier/ops/reference/rms_norm.h"

namespace luthier {
namespace {

void check_forward(const char* name, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& out,
                   const at::Tensor& rstd) {
  check_dimensions(name, "x", x, x.defined() && x.dim() == 3 ? 3 : 2);
  check_floating(name, "x", x, x.sizes());
  check_like(name, "weight", weight, {x.size(-1)}, x);
  check_like(name, "out", out, x.sizes(), x);
  check_typed(name, "rstd", rstd, x.sizes().slice(0, static_cast<size_t>(x.dim()) - 1), at::kFloat);
}

}  // namespace

void rms_norm_forward(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out, at::Tensor& rstd,
                      double offset) {
  check_forward("rms_norm", x, weight, out, rstd);
  if (x.numel() == 0) return;
  const OpTimer timer("rms_norm", [&] { return OpWork{4.0 * x.numel(), operand_bytes(x, weight, out, rstd)}; });
  if (instruction_set() == InstructionSet::reference) {
    reference::rms_norm_forward(x, weight, epsilon, out, rstd, offset);
  } else {
    cpu::rms_norm_forward(x, weight, epsilon, out, rstd, offset);
  }
}

void add_rms_norm_forward(at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double epsilon,
                          at::Tensor& out, at::Tensor& rstd, double offset) {
  check_dimensions("add_rms_norm", "x", x, 2);
  check_forward("add_rms_norm", x, weight, out, rstd);
  check_like("add_rms_norm", "delta", delta, x.sizes(), x);
  if (x.numel() == 0) return;
  const OpTimer timer("add_rms_norm",
                      [&] { return OpWork{5.0 * x.numel(), operand_bytes(x, x, delta, weight, out, rstd)}; });
  if (instruction_set() == InstructionSet::reference) {
    reference::add_rms_norm_forward(x, delta, weight, epsilon, out, rstd, offset);
  } else {
    cpu::add_rms_norm_forward(x, delta, weight, epsilon, out, rstd, offset);
  }
}

void rms_norm_backward(const at::Tensor& d_out, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd,
                       at::Tensor& d_x, at::Tensor d_weight, double offset) {
  constexpr const char* kName = "rms_norm_backward";
  check_forward(kName, x, weight, d_out, rstd);
  check_like(kName, "d_x", d_x, x.sizes(), x);
  if (d_weight.defined()) check_typed(kName, "d_weight", d_weight, {x.size(-1)}, at::kFloat);
  if (x.numel() == 0) return;
  const OpTimer timer("rms_norm backward", [&] {
    return OpWork{(d_weight.defined() ? 10.0 : 7.0) * x.numel(),
                  operand_bytes(d_out, x, weight, rstd, d_x, d_x, d_weight, d_weight)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::rms_norm_backward(d_out, x, weight, rstd, d_x, d_weight, offset);
  } else {
    cpu::rms_norm_backward(d_out, x, weight, rstd, d_x, d_weight, offset);
  }
}

}  // namespace luthier
