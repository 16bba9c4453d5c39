#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

// Qwen 2 with a norm of each query and key head, and without its biases.
DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "qwen3", {.key_heads = false, .head_size = 128});
  read_activation(reader, {"silu"}, Activation::silu, c);
  c.ropes = {read_rope(reader, c)};
  c.query_key_norm = QueryKeyNorm::per_head;
  c.query_key_value_bias = c.output_bias = reader.flag("attention_bias", false);
  read_upper_windows(reader, c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "qwen3");
  DecoderConfig c = read_common(reader, "qwen3");
  c.query_key_norm = QueryKeyNorm::per_head;
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kQwen3{"qwen3", "qwen3", from_json, from_gguf};

}  // namespace luthier
