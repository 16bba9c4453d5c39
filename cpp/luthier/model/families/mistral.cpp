#include "luthier/base/error.h"
#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"

namespace luthier {
namespace {

// Llama with a window (Jiang et al., "Mistral 7B", 2023), which later ones set to null.
DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "mistral", {.key_heads = false});
  read_activation(reader, {"silu"}, Activation::silu, c);
  c.ropes = {read_rope(reader, c)};
  // Missing, it would be 4096 in Transformers; whoever means no window writes null.
  const int64_t window = reader.integer("sliding_window", root.find("sliding_window") != nullptr ? 0 : 4096);
  if (window != 0) set_windows(window, [](int64_t) { return true; }, c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  fail_input(file.path(), ": a GGUF file of Mistral says that its architecture is llama");
}

}  // namespace

const Family kMistral{"mistral", "", from_json, from_gguf};

}  // namespace luthier
