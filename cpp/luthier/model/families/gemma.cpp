#include <cmath>

#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

// What distinguishes it from Llama (Gemma Team, "Gemma", 2024): scaled embeddings, norms around one, GeGLU.
void set_shape(DecoderConfig& c) {
  c.embedding_scale = std::sqrt(static_cast<double>(c.hidden_size));
  c.norm_offset = 1;
  c.activation = Activation::gelu_tanh;
}

DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "gemma", {.tied = true, .key_heads = false, .head_size = 256});
  // The official files say gelu, and mean its tanh form.
  read_activation(reader, {"gelu_pytorch_tanh", "gelu"}, Activation::gelu_tanh, c);
  c.ropes = {read_rope(reader, c)};
  c.query_key_value_bias = c.output_bias = reader.flag("attention_bias", false);
  set_shape(c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "gemma");
  DecoderConfig c = read_common(reader, "gemma");
  set_shape(c);
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kGemma{"gemma", "gemma", from_json, from_gguf};

}  // namespace luthier
