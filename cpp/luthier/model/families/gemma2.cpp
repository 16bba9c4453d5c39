#include <cmath>

#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

// Gemma Team, "Gemma 2", 2024: norms before and behind each block, soft caps, a window in every other layer.
void set_shape(DecoderConfig& c) {
  c.embedding_scale = std::sqrt(static_cast<double>(c.hidden_size));
  c.norm_offset = 1;
  c.norms = NormPlacement::both;
  c.activation = Activation::gelu_tanh;
}

bool slides(int64_t layer) { return layer % 2 == 0; }

DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "gemma2", {.tied = true, .key_heads = false, .head_size = 256});
  read_activation(reader, {"gelu_pytorch_tanh"}, Activation::gelu_tanh, c);
  c.ropes = {read_rope(reader, c)};
  c.query_key_value_bias = c.output_bias = reader.flag("attention_bias", false);
  c.attention_scale = 1 / std::sqrt(reader.number("query_pre_attn_scalar", 256));
  // Null means none; missing, what Transformers takes.
  const auto cap = [&](std::string_view key, double otherwise) {
    return reader.number(key, root.find(key) != nullptr ? 0 : otherwise);
  };
  c.attention_soft_cap = cap("attn_logit_softcapping", 50);
  c.logit_soft_cap = cap("final_logit_softcapping", 30);
  read_windows(reader, reader.integer("sliding_window", 4096), slides, c);
  set_shape(c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "gemma2");
  DecoderConfig c = read_common(reader, "gemma2");
  // The file does not hold the scale of scores; the largest of the family, by its layers, has another one.
  if (c.layers == 46 && c.heads > 0)
    c.attention_scale = 1 / std::sqrt(static_cast<double>(c.hidden_size) / static_cast<double>(c.heads));
  c.attention_soft_cap = reader.real("attn_logit_softcapping", 50);
  c.logit_soft_cap = reader.real("final_logit_softcapping", 30);
  set_windows(reader.integer("attention.sliding_window", 4096), slides, c);
  set_shape(c);
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kGemma2{"gemma2", "gemma2", from_json, from_gguf};

}  // namespace luthier
