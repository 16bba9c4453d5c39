// A tensor in a file: what it is called, how it is stored, and where its bytes lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "luthier/formats/dtype.h"

namespace luthier {

/// A dense, row-major tensor whose bytes belong to someone else, mostly to a mapped file, which must outlive the view.
/// The bytes need not be aligned to the element size: copy them with memcpy.
struct TensorView {
  std::string name;
  DType type = DType::F32;
  std::vector<int64_t> shape;       // outermost dimension first, as in torch; empty for a scalar
  std::span<const std::byte> data;  // byte_count(type, shape) bytes, little-endian
};

}  // namespace luthier
