#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

// Llama with four multipliers: of embeddings, scores, what the blocks add, and (divided) logits.
DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "granite");
  read_activation(reader, {"silu"}, Activation::silu, c);
  c.ropes = {read_rope(reader, c)};
  c.query_key_value_bias = c.output_bias = reader.flag("attention_bias", false);
  c.feed_forward_bias = reader.flag("mlp_bias", false);
  c.embedding_scale = reader.number("embedding_multiplier", 1);
  c.attention_scale = reader.number("attention_multiplier", 1);
  c.residual_scale = reader.number("residual_multiplier", 1);
  c.logit_scale = 1 / reader.number("logits_scaling", 1);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "granite");
  DecoderConfig c = read_common(reader, "granite");
  c.embedding_scale = reader.real("embedding_scale", 1);
  c.attention_scale = reader.real("attention.scale", 0);
  c.residual_scale = reader.real("residual_scale", 1);
  c.logit_scale = 1 / reader.real("logit_scale", 1);
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kGranite{"granite", "granite", from_json, from_gguf, /*pairs_adjacent=*/true};

}  // namespace luthier
