#include <algorithm>

#include "luthier/base/error.h"
#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

constexpr int64_t kInterval = 4;

// Llama without rotation in some layers, mostly in every fourth (Yang et al., "RoPE to NoRoPE and Back Again", 2025).
void set_unrotated(const std::function<bool(int64_t)>& unrotated, DecoderConfig& c) {
  c.layer_settings.resize(static_cast<size_t>(std::clamp<int64_t>(c.layers, 0, 1 << 16)));
  for (size_t i = 0; i < c.layer_settings.size(); ++i) {
    if (unrotated(static_cast<int64_t>(i))) c.layer_settings[i].rope = -1;
  }
}

DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "smollm3", {.tied = true, .key_heads = false});
  read_activation(reader, {"silu"}, Activation::silu, c);
  c.ropes = {read_rope(reader, c, {.base = 2e6})};
  c.query_key_value_bias = c.output_bias = reader.flag("attention_bias", false);
  c.feed_forward_bias = reader.flag("mlp_bias", false);
  // A 1 in no_rope_layers means, against its name, that the layer is rotated.
  const JsonValue* rotated = reader.find("no_rope_layers");
  const int64_t interval = reader.integer("no_rope_layer_interval", kInterval);
  if (rotated != nullptr && static_cast<int64_t>(rotated->as_array().size()) < c.layers)
    rotated->fail_here(concat("has ", rotated->as_array().size(), " entries, and num_hidden_layers is ", c.layers));
  const auto unrotated = [&](int64_t i) {
    if (rotated != nullptr) return rotated->as_array()[static_cast<size_t>(i)].as_int() == 0;
    return interval > 0 && (i + 1) % interval == 0;
  };
  const bool windowed = reader.flag("use_sliding_window", false);
  const auto window = read_optional(reader, "sliding_window");
  read_windows(reader, windowed ? window : std::nullopt, unrotated, c);
  set_unrotated(unrotated, c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "smollm3");
  DecoderConfig c = read_common(reader, "smollm3");
  set_unrotated([](int64_t i) { return (i + 1) % kInterval == 0; }, c);
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kSmolLm3{"smollm3", "smollm3", from_json, from_gguf, /*pairs_adjacent=*/true};

}  // namespace luthier
