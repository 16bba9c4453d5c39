// The parts of reading a GGUF file; see gguf.h.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "luthier/formats/gguf.h"

namespace luthier {

/// What a GGUF file holds, as views into its bytes.
struct GgufContents {
  uint32_t version = 0;
  std::vector<GgufEntry> metadata;
  std::vector<TensorView> tensors;
};

/// Reads the bytes of a whole GGUF file; `path` opens each message. Throws InputError on anything that does not hold.
GgufContents read_gguf(std::span<const std::byte> bytes, const std::string& path);

}  // namespace luthier
