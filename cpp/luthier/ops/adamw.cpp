#include "luthier/ops/adamw.h"

#include "luthier/base/error.h"
#include "luthier/ops/check.h"
#include "luthier/ops/cpu/adamw.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/op_timer.h"
#include "luthier/ops/reference/adamw.h"

namespace luthier {
namespace {

void check_contiguous(const char* operation, const char* name, const at::Tensor& tensor, at::IntArrayRef sizes) {
  check_typed(operation, name, tensor, sizes, at::kFloat);
  LUTHIER_CHECK(tensor.is_contiguous(), "[", operation, "] ", name, " is not contiguous");
}

}  // namespace

void adamw_step(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment, at::Tensor& second_moment,
                const AdamWSettings& settings, int64_t step, double gradient_scale) {
  LUTHIER_CHECK(parameter.defined(), "[adamw] parameter is undefined");
  check_contiguous("adamw", "parameter", parameter, parameter.sizes());
  check_contiguous("adamw", "gradient", gradient, parameter.sizes());
  check_contiguous("adamw", "first_moment", first_moment, parameter.sizes());
  check_contiguous("adamw", "second_moment", second_moment, parameter.sizes());
  LUTHIER_CHECK(step >= 1, "[adamw] step is ", step, ", expected 1 or more");
  if (parameter.numel() == 0) return;
  const OpTimer timer("adamw", [&] {
    return OpWork{16.0 * parameter.numel(), operand_bytes(gradient, parameter, parameter, first_moment, first_moment,
                                                          second_moment, second_moment)};
  });
  if (instruction_set() == InstructionSet::reference) {
    reference::adamw_step(parameter, gradient, first_moment, second_moment, settings, step, gradient_scale);
  } else {
    cpu::adamw_step(parameter, gradient, first_moment, second_moment, settings, step, gradient_scale);
  }
}

double squared_norm(const at::Tensor& gradient) {
  LUTHIER_CHECK(gradient.defined(), "[squared_norm] gradient is undefined");
  check_contiguous("squared_norm", "gradient", gradient, gradient.sizes());
  if (gradient.numel() == 0) return 0;
  const OpTimer timer("squared_norm", [&] { return OpWork{2.0 * gradient.numel(), operand_bytes(gradient)}; });
  if (instruction_set() == InstructionSet::reference) {
    return reference::squared_norm(gradient);
  } else {
    return cpu::squared_norm(gradient);
  }
}

}  // namespace luthier
