#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

// OLMo Team, "2 OLMo 2 Furious", 2024: norms behind the blocks, and of whole queries and keys.
void set_shape(DecoderConfig& c) {
  c.norms = NormPlacement::after;
  c.query_key_norm = QueryKeyNorm::whole;
}

DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "olmo2", {.epsilon = 1e-5});
  read_activation(reader, {"silu"}, Activation::silu, c);
  c.ropes = {read_rope(reader, c)};
  c.query_key_value_bias = c.output_bias = reader.flag("attention_bias", false);
  set_shape(c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "olmo2");
  DecoderConfig c = read_common(reader, "olmo2");
  set_shape(c);
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kOlmo2{"olmo2", "olmo2", from_json, from_gguf};

}  // namespace luthier
