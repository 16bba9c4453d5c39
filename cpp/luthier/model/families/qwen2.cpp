#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

// Llama with biases of queries, keys and values, and in some sizes a window in the upper layers.
DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "qwen2", {.key_heads = false});
  read_activation(reader, {"silu"}, Activation::silu, c);
  c.ropes = {read_rope(reader, c)};
  c.query_key_value_bias = true;
  read_upper_windows(reader, c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "qwen2");
  const DecoderConfig c = read_common(reader, "qwen2");
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kQwen2{"qwen2", "qwen2", from_json, from_gguf};

}  // namespace luthier
