#include "luthier/ops/check.h"

#include "luthier/base/error.h"

namespace luthier {
namespace {

void check_placed(const char* operation, const char* name, const at::Tensor& tensor, at::IntArrayRef sizes) {
  LUTHIER_CHECK(tensor.defined(), "[", operation, "] ", name, " is undefined");
  LUTHIER_CHECK(tensor.device().is_cpu(), "[", operation, "] ", name, " is not on the CPU");
  LUTHIER_CHECK(tensor.sizes() == sizes, "[", operation, "] ", name, " has sizes ", tensor.sizes(), ", expected ",
                sizes);
  if (tensor.numel() == 0) return;
  int64_t stride = 1;
  for (int64_t dimension = tensor.dim() - 1; dimension >= 0; --dimension) {
    const bool rows = dimension == 0 && tensor.dim() > 1;
    LUTHIER_CHECK(tensor.size(dimension) == 1 || tensor.stride(dimension) == stride ||
                      (rows && tensor.stride(dimension) > stride),
                  "[", operation, "] ", name, " has strides ", tensor.strides(),
                  ": all but its rows must be contiguous");
    stride *= tensor.size(dimension);
  }
}

}  // namespace

void check_dimensions(const char* operation, const char* name, const at::Tensor& tensor, int64_t dimensions) {
  LUTHIER_CHECK(tensor.defined(), "[", operation, "] ", name, " is undefined");
  LUTHIER_CHECK(tensor.dim() == dimensions, "[", operation, "] ", name, " has sizes ", tensor.sizes(), ", expected ",
                dimensions, " dimensions");
}

void check_floating(const char* operation, const char* name, const at::Tensor& tensor, at::IntArrayRef sizes) {
  check_placed(operation, name, tensor, sizes);
  LUTHIER_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16, "[", operation, "] ", name,
                " is ", tensor.scalar_type(), ", expected fp32 or bf16");
}

void check_like(const char* operation, const char* name, const at::Tensor& tensor, at::IntArrayRef sizes,
                const at::Tensor& like) {
  check_floating(operation, name, tensor, sizes);
  LUTHIER_CHECK(tensor.scalar_type() == like.scalar_type(), "[", operation, "] ", name, " is ", tensor.scalar_type(),
                ", expected ", like.scalar_type());
}

void check_typed(const char* operation, const char* name, const at::Tensor& tensor, at::IntArrayRef sizes,
                 at::ScalarType type) {
  check_placed(operation, name, tensor, sizes);
  LUTHIER_CHECK(tensor.scalar_type() == type, "[", operation, "] ", name, " is ", tensor.scalar_type(), ", expected ",
                type);
}

void check_indices(const char* operation, const char* name, const at::Tensor& indices, int64_t limit) {
  const int32_t* values = indices.const_data_ptr<int32_t>();
  for (int64_t i = 0; i < indices.numel(); ++i) {
    LUTHIER_CHECK(values[i] >= 0 && values[i] < limit, "[", operation, "] ", name, "[", i, "] is ", values[i],
                  ", expected 0 to ", limit - 1);
  }
}

}  // namespace luthier
