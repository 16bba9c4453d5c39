// From stored elements to float: the plain float types and the block-quantised types of GGUF.
#pragma once

#include <cstddef>
#include <span>

#include "luthier/formats/tensor_view.h"

namespace luthier {

/// Whether `dequantize` reads the type: F64, F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K.
bool can_dequantize(DType type);

/// Writes the float of every stored element. Each equals the reference formula of its type in fp32 exactly; F64 is
/// rounded to nearest. `bytes` holds whole blocks, not necessarily aligned, and `values` one float per element: any run
/// of whole blocks of a tensor may be given, so large ones can be done in parts. Throws Error when the sizes do not
/// match or the type cannot be dequantised.
void dequantize(DType type, std::span<const std::byte> bytes, std::span<float> values);

/// The same for a whole tensor of a file. Throws InputError that names the tensor when its type cannot be dequantised.
void dequantize(const TensorView& tensor, std::span<float> values);

}  // namespace luthier
