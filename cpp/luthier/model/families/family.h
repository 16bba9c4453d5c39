// The model families: each is a mapping from the keys of its files to a DecoderConfig.
#pragma once

#include <string_view>

#include "luthier/formats/gguf.h"
#include "luthier/formats/json.h"
#include "luthier/model/config.h"

namespace luthier {

struct Family {
  std::string_view name;          // `model_type` in config.json
  std::string_view architecture;  // "general.architecture" of a GGUF file
  /// From the root of config.json. Throws InputError, naming the key, for a value that the decoder cannot follow.
  DecoderConfig (*from_json)(const JsonValue& root);
  /// From a GGUF file's metadata and tensors.
  DecoderConfig (*from_gguf)(const GgufFile& file);
};

/// Llama 2 to 3.2 and those that share its architecture, SmolLM2 among them.
extern const Family kLlama;

/// The family of a `model_type`. Throws InputError that names the type and the families there are.
const Family& family_of_model_type(const JsonValue& root);

/// The family of a GGUF file's architecture.
const Family& family_of_gguf(const GgufFile& file);

}  // namespace luthier
