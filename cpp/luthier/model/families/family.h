// The model families: each is a mapping from the keys of its files to a DecoderConfig.
#pragma once

#include <string_view>

#include "luthier/formats/gguf.h"
#include "luthier/formats/json.h"
#include "luthier/model/config.h"

namespace luthier {

struct Family {
  std::string_view name;          // `model_type` in config.json
  std::string_view architecture;  // "general.architecture" of a GGUF file; empty: such files bear another family's
  /// From the root of config.json. Throws InputError, naming the key, for a value that the decoder cannot follow.
  DecoderConfig (*from_json)(const JsonValue& root);
  /// From a GGUF file's metadata and tensors.
  DecoderConfig (*from_gguf)(const GgufFile& file);
  /// Its GGUF files hold the query and key rows of a head in the order of rotated pairs, (2 i, 2 i + 1).
  bool pairs_adjacent = false;
};

extern const Family kGemma;
extern const Family kGemma2;
extern const Family kGemma3;  // the text model
extern const Family kGranite;
extern const Family kLlama;    // 2 to 3.2, and those that share its architecture, SmolLM2 among them
extern const Family kMistral;  // its GGUF files say "llama"
extern const Family kOlmo2;
extern const Family kPhi3;   // and Phi-4
extern const Family kQwen2;  // and 2.5
extern const Family kQwen3;
extern const Family kSmolLm3;

/// The family of a `model_type`. Throws InputError that names the type and the families there are, or says that a model
/// has a vision tower or is a mixture of experts.
const Family& family_of_model_type(const JsonValue& root);

/// The family of a GGUF file's architecture.
const Family& family_of_gguf(const GgufFile& file);

}  // namespace luthier
