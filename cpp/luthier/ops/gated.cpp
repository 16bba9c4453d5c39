#include "luthier/ops/gated.h"

#include "luthier/base/error.h"
#include "luthier/ops/check.h"
#include "luthier/ops/cpu/gated.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/op_timer.h"
#include "luthier/ops/reference/gated.h"

namespace luthier {
namespace {

void check(const char* name, const at::Tensor& gate_up) {
  check_dimensions(name, "gate_up", gate_up, 2);
  check_floating(name, "gate_up", gate_up, gate_up.sizes());
  LUTHIER_CHECK(gate_up.size(1) % 2 == 0, "[", name, "] gate_up has ", gate_up.size(1),
                " columns, expected an even number");
}

/// Per element of forward's result; backward, which computes the activation and its slope, does about three times that.
double activation_flops(Activation activation) { return activation == Activation::silu ? 4 : 10; }

}  // namespace

void gated_forward(const at::Tensor& gate_up, Activation activation, at::Tensor& out) {
  check("gated", gate_up);
  check_like("gated", "out", out, {gate_up.size(0), gate_up.size(1) / 2}, gate_up);
  if (out.numel() == 0) return;
  const OpTimer timer("gated",
                      [&] { return OpWork{activation_flops(activation) * out.numel(), operand_bytes(gate_up, out)}; });
  if (instruction_set() == InstructionSet::reference) {
    reference::gated_forward(gate_up, activation, out);
  } else {
    cpu::gated_forward(gate_up, activation, out);
  }
}

void gated_backward(const at::Tensor& gate_up, const at::Tensor& d_out, Activation activation, at::Tensor& d_gate_up,
                    at::Tensor out) {
  constexpr const char* kName = "gated_backward";
  check(kName, gate_up);
  check_like(kName, "d_out", d_out, {gate_up.size(0), gate_up.size(1) / 2}, gate_up);
  check_like(kName, "d_gate_up", d_gate_up, gate_up.sizes(), gate_up);
  if (out.defined()) check_like(kName, "out", out, d_out.sizes(), gate_up);
  if (d_out.numel() == 0) return;
  const OpTimer timer("gated backward", [&] {
    return OpWork{3.0 * activation_flops(activation) * d_out.numel(), operand_bytes(gate_up, d_out, d_gate_up, out)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::gated_backward(gate_up, d_out, activation, d_gate_up, out);
  } else {
    cpu::gated_backward(gate_up, d_out, activation, d_gate_up, out);
  }
}

}  // namespace luthier
