#include "luthier/ops/gated.h"

#include "luthier/base/error.h"
#include "luthier/ops/check.h"
#include "luthier/ops/cpu/gated.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/reference/gated.h"

namespace luthier {
namespace {

void check(const char* name, const at::Tensor& gate_up) {
  check_dimensions(name, "gate_up", gate_up, 2);
  check_floating(name, "gate_up", gate_up, gate_up.sizes());
  LUTHIER_CHECK(gate_up.size(1) % 2 == 0, "[", name, "] gate_up has ", gate_up.size(1),
                " columns, expected an even number");
}

}  // namespace

void gated_forward(const at::Tensor& gate_up, Activation activation, at::Tensor& out) {
  check("gated", gate_up);
  check_like("gated", "out", out, {gate_up.size(0), gate_up.size(1) / 2}, gate_up);
  if (out.numel() == 0) return;
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
  if (instruction_set() == InstructionSet::reference) {
    reference::gated_backward(gate_up, d_out, activation, d_gate_up, out);
  } else {
    cpu::gated_backward(gate_up, d_out, activation, d_gate_up, out);
  }
}

}  // namespace luthier
