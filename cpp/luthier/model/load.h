// From files to a decoder.
#pragma once

#include <string>

#include "luthier/model/decoder.h"
#include "luthier/model/weight_source.h"

namespace luthier {

/// Loads a Transformers folder or a GGUF file with weights of type fp32 or bf16. Nothing is half-loaded: a missing
/// tensor, a wrong shape, or tensors that the architecture does not know throw InputError and list them.
Decoder load_decoder(const std::string& path, at::ScalarType type);

}  // namespace luthier
