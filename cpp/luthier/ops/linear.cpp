#include "luthier/ops/linear.h"

#include "luthier/ops/check.h"
#include "luthier/ops/cpu/linear.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/op_timer.h"
#include "luthier/ops/reference/linear.h"

namespace luthier {

void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::Tensor& out,
                    bool accumulate) {
  constexpr const char* kName = "linear";
  check_dimensions(kName, "x", x, 2);
  check_dimensions(kName, "weight", weight, 2);
  check_floating(kName, "x", x, x.sizes());
  check_like(kName, "weight", weight, {weight.size(0), x.size(1)}, x);
  check_like(kName, "out", out, {x.size(0), weight.size(0)}, x);
  if (bias.defined()) check_like(kName, "bias", bias, {weight.size(0)}, x);
  if (out.numel() == 0) return;
  const OpTimer timer("linear", [&] {
    const double sums = bias.defined() ? static_cast<double>(out.numel()) : 0;
    return OpWork{product_flops(x.size(0), x.size(1), out.size(1)) + sums,
                  operand_bytes(x, weight, bias, out) + (accumulate ? operand_bytes(out) : 0)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::linear_forward(x, weight, bias, out, accumulate);
  } else {
    cpu::linear_forward(x, weight, bias, out, accumulate);
  }
}

void linear_backward_input(const at::Tensor& d_out, const at::Tensor& weight, at::Tensor& d_x, bool accumulate) {
  constexpr const char* kName = "linear_backward_input";
  check_dimensions(kName, "d_out", d_out, 2);
  check_dimensions(kName, "weight", weight, 2);
  check_floating(kName, "d_out", d_out, d_out.sizes());
  check_like(kName, "weight", weight, {d_out.size(1), weight.size(1)}, d_out);
  check_like(kName, "d_x", d_x, {d_out.size(0), weight.size(1)}, d_out);
  if (d_x.numel() == 0) return;
  const OpTimer timer("linear d_input", [&] {
    return OpWork{product_flops(d_out.size(0), d_out.size(1), d_x.size(1)),
                  operand_bytes(d_out, weight, d_x) + (accumulate ? operand_bytes(d_x) : 0)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::linear_backward_input(d_out, weight, d_x, accumulate);
  } else {
    cpu::linear_backward_input(d_out, weight, d_x, accumulate);
  }
}

void linear_backward_weight(const at::Tensor& d_out, const at::Tensor& x, double scale, at::Tensor& d_weight) {
  constexpr const char* kName = "linear_backward_weight";
  check_dimensions(kName, "d_out", d_out, 2);
  check_dimensions(kName, "x", x, 2);
  check_floating(kName, "d_out", d_out, d_out.sizes());
  check_like(kName, "x", x, {d_out.size(0), x.size(1)}, d_out);
  check_typed(kName, "d_weight", d_weight, {d_out.size(1), x.size(1)}, at::kFloat);
  if (d_weight.numel() == 0 || x.size(0) == 0) return;
  const OpTimer timer("linear d_weight", [&] {
    return OpWork{product_flops(d_out.size(1), d_out.size(0), x.size(1)), operand_bytes(d_out, x, d_weight, d_weight)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::linear_backward_weight(d_out, x, scale, d_weight);
  } else {
    cpu::linear_backward_weight(d_out, x, scale, d_weight);
  }
}

void linear_backward_bias(const at::Tensor& d_out, at::Tensor& d_bias) {
  constexpr const char* kName = "linear_backward_bias";
  check_dimensions(kName, "d_out", d_out, 2);
  check_floating(kName, "d_out", d_out, d_out.sizes());
  check_typed(kName, "d_bias", d_bias, {d_out.size(1)}, at::kFloat);
  if (d_out.numel() == 0) return;
  const OpTimer timer("linear d_bias",
                      [&] { return OpWork{static_cast<double>(d_out.numel()), operand_bytes(d_out, d_bias, d_bias)}; });
  if (instruction_set() == InstructionSet::reference) {
    reference::linear_backward_bias(d_out, d_bias);
  } else {
    cpu::linear_backward_bias(d_out, d_bias);
  }
}

}  // namespace luthier
