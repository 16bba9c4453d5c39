#include "dense_cases.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <string>

namespace luthier::testing {

at::Tensor normal(at::IntArrayRef sizes, at::ScalarType type, uint64_t seed, double deviation) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return (at::randn(sizes, generator, at::kDouble) * deviation).to(type);
}

at::Tensor integers(int64_t count, int64_t limit, uint64_t seed) {
  return at::randint(limit, {count}, at::detail::createCPUGenerator(seed), at::kInt);
}

namespace {
constexpr double kMark = -7;
}

Block::Block(const at::Tensor& matrix, int64_t left, int64_t right)
    : buffer(at::full({matrix.size(0), left + matrix.size(1) + right}, kMark, matrix.options())),
      view(buffer.narrow(1, left, matrix.size(1))),
      left(left) {
  view.copy_(matrix);
}

bool Block::intact() const {
  const int64_t end = left + view.size(1);
  return buffer.narrow(1, 0, left).eq(kMark).all().item<bool>() &&
         buffer.narrow(1, end, buffer.size(1) - end).eq(kMark).all().item<bool>();
}

at::Tensor tracked(const at::Tensor& tensor) {
  at::Tensor copy = tensor.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  copy.requires_grad_();
  return copy;
}

double largest_error(const at::Tensor& value, const at::Tensor& truth) {
  const at::Tensor wide = truth.detach().to(at::kDouble);
  const double error = (value.to(at::kDouble) - wide).abs().max().item<double>();
  return error / std::max(wide.abs().max().item<double>(), 1e-30);
}

double relative_error_of_elements(const at::Tensor& value, const at::Tensor& truth) {
  const at::Tensor wide = truth.detach().to(at::kDouble);
  const at::Tensor scale = wide.abs() + 1e-2 * wide.abs().max() + 1e-30;
  return ((value.to(at::kDouble) - wide).abs() / scale).max().item<double>();
}

Threads::Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
Threads::~Threads() { at::set_num_threads(before_); }

bool same_bits(const at::Tensor& a, const at::Tensor& b) { return a.equal(b); }

double rounding(at::ScalarType type) { return type == at::kBFloat16 ? 1.0 / 256 : 1e-5; }

void on_every_path(const std::function<void(at::ScalarType)>& body) {
  const InstructionSet machine = instruction_set();
  for (int set = 0; set <= static_cast<int>(machine); ++set) {
    force_instruction_set(static_cast<InstructionSet>(set));
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const std::string path =
          std::string(name_of(static_cast<InstructionSet>(set))) + (type == at::kFloat ? " fp32" : " bf16");
      SCOPED_TRACE(path);
      body(type);
    }
  }
  force_instruction_set(machine);
}

}  // namespace luthier::testing
