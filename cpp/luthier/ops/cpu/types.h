// From the type of a tensor to the type of its elements.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>

namespace luthier::cpu {

/// Calls body with a null pointer of the element type, float or BFloat16: with_type(x, [&]<class T>(T*) { ... }).
template <class Body>
void with_type(const at::Tensor& tensor, const Body& body) {
  if (tensor.scalar_type() == at::kBFloat16) {
    body(static_cast<at::BFloat16*>(nullptr));
  } else {
    body(static_cast<float*>(nullptr));
  }
}

/// How many rows of this many elements are worth a thread.
inline int64_t row_grain(int64_t columns) { return std::max<int64_t>(1, 8192 / std::max<int64_t>(1, columns)); }

}  // namespace luthier::cpu
