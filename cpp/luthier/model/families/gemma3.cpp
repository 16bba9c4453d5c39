#include <algorithm>
#include <cmath>

#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

constexpr double kGlobalBase = 1e6, kLocalBase = 1e4;

// Gemma Team, "Gemma 3", 2025: Gemma 2 with norms of query and key heads instead of the soft caps, and five layers with
// a window and a rotary base of their own to one without.
void set_shape(DecoderConfig& c) {
  c.embedding_scale = std::sqrt(static_cast<double>(c.hidden_size));
  c.norm_offset = 1;
  c.norms = NormPlacement::both;
  c.query_key_norm = QueryKeyNorm::per_head;
  c.activation = Activation::gelu_tanh;
  for (LayerSettings& layer : c.layer_settings) layer.rope = layer.window > 0 ? 1 : 0;
}

// The rotary embedding of the layers without a window, and that of those with one.
std::vector<RopeSettings> read_ropes(ConfigReader& reader, const DecoderConfig& c) {
  const double global = reader.number("rope_theta", kGlobalBase);
  const double local = reader.number("rope_local_base_freq", kLocalBase);
  const JsonValue* each = reader.find("rope_parameters");  // Transformers 5; before, rope_scaling of the global one
  const JsonValue* old = reader.find("rope_scaling");
  if (each == nullptr) return {rope_of(old, c, global), rope_of(nullptr, c, local)};
  const auto of_type = [&](const char* type, double base) {
    const JsonValue* values = each->find(type);
    return rope_of(values != nullptr && !values->is_null() ? values : nullptr, c, base);
  };
  for (const JsonMember& member : each->as_object()) {
    if (member.key != "full_attention" && member.key != "sliding_attention")
      member.value.fail_here(
          "the rotary settings of this architecture are those of full_attention and "
          "sliding_attention");
  }
  if (old != nullptr) old->fail_here("it stands beside rope_parameters; one of them must go");
  return {of_type("full_attention", global), of_type("sliding_attention", local)};
}

DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "gemma3_text", {.tied = true, .key_heads = false, .head_size = 256});
  read_activation(reader, {"gelu_pytorch_tanh"}, Activation::gelu_tanh, c);
  c.ropes = read_ropes(reader, c);
  c.query_key_value_bias = c.output_bias = reader.flag("attention_bias", false);
  c.attention_scale = 1 / std::sqrt(reader.number("query_pre_attn_scalar", 256));
  // Transformers caps the logits, but not the scores, of this architecture.
  c.logit_soft_cap = reader.number("final_logit_softcapping", 0);
  const int64_t period = reader.integer("sliding_window_pattern", reader.integer("_sliding_window_pattern", 6));
  read_windows(
      reader, reader.integer("sliding_window", 4096), [&](int64_t i) { return period > 0 && (i + 1) % period != 0; },
      c);
  set_shape(c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "gemma3");
  DecoderConfig c = read_common(reader, "gemma3_text");
  c.ropes.front().base = reader.real("rope.freq_base", kGlobalBase);
  RopeSettings local;
  local.base = reader.real("rope.freq_base_swa", kLocalBase);
  c.ropes.push_back(local);
  // The file does not hold the scale of scores; the largest of the family, by its layers, has another one.
  if (c.layers == 62 && c.heads > 0)
    c.attention_scale = 1 / std::sqrt(static_cast<double>(c.hidden_size) / static_cast<double>(c.heads));
  c.logit_soft_cap = reader.real("final_logit_softcapping", 0);
  const int64_t period = std::max<int64_t>(1, reader.integer("attention.sliding_window_pattern", 6));
  set_windows(reader.integer("attention.sliding_window", 4096), [&](int64_t i) { return (i + 1) % period != 0; }, c);
  set_shape(c);
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kGemma3{"gemma3_text", "gemma3", from_json, from_gguf};

}  // namespace luthier
