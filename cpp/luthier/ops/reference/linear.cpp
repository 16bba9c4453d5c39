#include "luthier/ops/reference/linear.h"

#include "luthier/ops/reference/precision.h"
#include "luthier/ops/row_product.h"

namespace luthier::reference {

void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::Tensor& out,
                    bool accumulate) {
  at::Tensor product = row_product(widen(x), widen(weight).t());
  if (bias.defined()) product += widen(bias);
  if (accumulate) product += widen(out);
  out.copy_(product);
}

void linear_backward_input(const at::Tensor& d_out, const at::Tensor& weight, at::Tensor& d_x, bool accumulate) {
  at::Tensor product = row_product(widen(d_out), widen(weight));
  if (accumulate) product += widen(d_x);
  d_x.copy_(product);
}

void linear_backward_weight(const at::Tensor& d_out, const at::Tensor& x, double scale, at::Tensor& d_weight) {
  d_weight.add_(widen(d_out).t().mm(widen(x)), scale);
}

void linear_backward_bias(const at::Tensor& d_out, at::Tensor& d_bias) { d_bias.add_(widen(d_out).sum(0)); }

}  // namespace luthier::reference
