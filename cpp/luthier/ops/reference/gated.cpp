#include "luthier/ops/reference/gated.h"

#include <cmath>
#include <utility>

#include "luthier/ops/reference/precision.h"

namespace luthier::reference {
namespace {

/// The activation and its derivative.
std::pair<at::Tensor, at::Tensor> evaluate(const at::Tensor& x, Activation activation) {
  if (activation == Activation::silu) {
    const at::Tensor s = x.sigmoid();
    return {x * s, s * (1 + x * (1 - s))};
  }
  // Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2: the tanh form.
  const double root = std::sqrt(2 / M_PI), cubic = 0.044715;
  const at::Tensor t = (root * (x + cubic * x * x * x)).tanh();
  return {0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * cubic * x * x)};
}

}  // namespace

void gated_forward(const at::Tensor& gate_up, Activation activation, at::Tensor& out) {
  const at::Tensor wide = widen(gate_up);
  const int64_t inner = wide.size(1) / 2;
  out.copy_(evaluate(wide.narrow(1, 0, inner), activation).first * wide.narrow(1, inner, inner));
}

void gated_backward(const at::Tensor& gate_up, const at::Tensor& d_out, Activation activation, at::Tensor& d_gate_up,
                    at::Tensor out) {
  const int64_t inner = gate_up.size(1) / 2;
  const at::Tensor wide = widen(gate_up), gradient = widen(d_out);
  const at::Tensor up = wide.narrow(1, inner, inner);
  const auto [value, slope] = evaluate(wide.narrow(1, 0, inner), activation);
  const at::Tensor d_gate = gradient * up * slope, d_up = gradient * value, product = value * up;
  d_gate_up.narrow(1, 0, inner).copy_(d_gate);
  d_gate_up.narrow(1, inner, inner).copy_(d_up);
  if (out.defined()) out.copy_(product);
}

}  // namespace luthier::reference
