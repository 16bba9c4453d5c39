#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "llama");
  read_activation(reader, {"silu"}, Activation::silu, c);
  c.ropes = {read_rope(reader, c)};
  c.query_key_value_bias = c.output_bias = reader.flag("attention_bias", false);
  c.feed_forward_bias = reader.flag("mlp_bias", false);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "llama");
  DecoderConfig c = read_common(reader, "llama");
  const int64_t window = reader.integer("attention.sliding_window", 0);  // of a Mistral
  if (window != 0) set_windows(window, [](int64_t) { return true; }, c);
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kLlama{"llama", "llama", from_json, from_gguf, /*pairs_adjacent=*/true};

}  // namespace luthier
