#include "luthier/ops/reference/rms_norm.h"

#include "luthier/ops/reference/precision.h"

namespace luthier::reference {

void rms_norm_forward(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out, at::Tensor& rstd,
                      double offset) {
  const at::Tensor wide = widen(x);
  const at::Tensor scale = (wide.square().mean(-1) + epsilon).rsqrt();
  rstd.copy_(scale);
  out.copy_(wide * scale.unsqueeze(-1) * (widen(weight) + offset));
}

void add_rms_norm_forward(at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double epsilon,
                          at::Tensor& out, at::Tensor& rstd, double offset) {
  x.copy_(widen(x) + widen(delta));
  rms_norm_forward(x, weight, epsilon, out, rstd, offset);
}

// With n = x rstd and g = d_out (weight + offset): d_x = rstd (g - n mean(g n)), d_weight = sum over rows of d_out n.
void rms_norm_backward(const at::Tensor& d_out, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd,
                       at::Tensor& d_x, at::Tensor d_weight, double offset) {
  const at::Tensor normed = widen(x) * rstd.unsqueeze(-1);
  const at::Tensor gradient = widen(d_out) * (widen(weight) + offset);
  const at::Tensor projection = (gradient * normed).mean(-1, /*keepdim=*/true);
  if (d_weight.defined()) d_weight.add_((widen(d_out) * normed).reshape({-1, x.size(-1)}).sum(0));
  d_x.copy_(widen(d_x) + rstd.unsqueeze(-1) * (gradient - normed * projection));
}

}  // namespace luthier::reference
