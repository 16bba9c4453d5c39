#include "luthier/ops/rope.h"

#include <algorithm>

#include "luthier/base/error.h"
#include "luthier/ops/check.h"
#include "luthier/ops/cpu/rope.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/op_timer.h"
#include "luthier/ops/reference/rope.h"

namespace luthier {
namespace {

void rope(const char* name, at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin,
          double direction) {
  check_dimensions(name, "x", x, 3);
  check_dimensions(name, "cos", cos, 2);
  check_floating(name, "x", x, x.sizes());
  check_typed(name, "positions", positions, {x.size(0)}, at::kInt);
  check_typed(name, "cos", cos, cos.sizes(), at::kFloat);
  check_typed(name, "sin", sin, cos.sizes(), at::kFloat);
  LUTHIER_CHECK(2 * cos.size(1) <= x.size(2), "[", name, "] cos has ", cos.size(1), " columns, expected at most ",
                x.size(2) / 2, ", half of a head");
  check_indices(name, "positions", positions, cos.size(0));
  if (x.numel() == 0) return;
  const OpTimer timer(direction > 0 ? "rope" : "rope backward", [&] {
    const double rotated = 2.0 * x.size(0) * x.size(1) * cos.size(1);
    const double tables = 2.0 * std::min(positions.numel(), cos.size(0)) * cos.size(1) * cos.element_size();
    return OpWork{3 * rotated, 2 * rotated * x.element_size() + operand_bytes(positions) + tables};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::rope(x, positions, cos, sin, direction);
  } else {
    cpu::rope(x, positions, cos, sin, direction);
  }
}

}  // namespace

void rope_forward(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin) {
  rope("rope", x, positions, cos, sin, 1);
}

void rope_backward(at::Tensor& d_x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin) {
  rope("rope_backward", d_x, positions, cos, sin, -1);
}

}  // namespace luthier
