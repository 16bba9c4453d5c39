// The keys and values of tokens that were computed before, for decoding.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "luthier/model/decoder.h"

namespace luthier {

/// Per decoder layer k and v [rows, key_heads, head_size] of the decoder's type. Who owns which rows is the caller's
/// affair.
struct KeyValueCache {
  KeyValueCache(const Decoder& decoder, int64_t rows);

  int64_t rows;
  std::vector<at::Tensor> k, v;
};

}  // namespace luthier
