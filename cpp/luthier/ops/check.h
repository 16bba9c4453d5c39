// What the operations ask of their tensors before they touch them.
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier {

/// Throws Error unless `tensor` is a defined fp32 or bf16 CPU tensor of these sizes whose last dimension is contiguous.
/// A message begins with "[operation] name".
void check_floating(const char* operation, const char* name, const at::Tensor& tensor, at::IntArrayRef sizes);

/// The same, and its type is that of `like`.
void check_like(const char* operation, const char* name, const at::Tensor& tensor, at::IntArrayRef sizes,
                const at::Tensor& like);

/// Throws Error unless `tensor` is a defined CPU tensor of this type and these sizes; contiguous, but for the stride of
/// the rows of a matrix.
void check_typed(const char* operation, const char* name, const at::Tensor& tensor, at::IntArrayRef sizes,
                 at::ScalarType type);

/// Throws Error unless `tensor` is defined and has this many dimensions.
void check_dimensions(const char* operation, const char* name, const at::Tensor& tensor, int64_t dimensions);

/// Throws Error unless every element of the int32 `indices` lies in [0, limit).
void check_indices(const char* operation, const char* name, const at::Tensor& indices, int64_t limit);

}  // namespace luthier
