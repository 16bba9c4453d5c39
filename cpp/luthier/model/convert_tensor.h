// From a tensor in a file to one in memory. Private to model/.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "luthier/formats/tensor_view.h"

namespace luthier {

/// The elements of a stored tensor as fp32 or bf16, row-major. Throws InputError that names `file` and the tensor when
/// the shape is not the expected one, a float type cannot be read, or an element is not finite.
at::Tensor convert_tensor(const TensorView& stored, const std::string& file, const std::vector<int64_t>& shape,
                          at::ScalarType type);

}  // namespace luthier
