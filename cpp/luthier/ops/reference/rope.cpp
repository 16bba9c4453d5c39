#include "luthier/ops/reference/rope.h"

#include "luthier/ops/reference/precision.h"

namespace luthier::reference {

void rope(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin, double direction) {
  const int64_t half = cos.size(1);
  const at::Tensor c = cos.index_select(0, positions).unsqueeze(1);
  const at::Tensor s = sin.index_select(0, positions).unsqueeze(1) * direction;
  at::Tensor first = x.narrow(2, 0, half), second = x.narrow(2, half, half);
  const at::Tensor a = widen(first), b = widen(second);
  const at::Tensor rotated_first = a * c - b * s, rotated_second = b * c + a * s;
  first.copy_(rotated_first);
  second.copy_(rotated_second);
}

}  // namespace luthier::reference
