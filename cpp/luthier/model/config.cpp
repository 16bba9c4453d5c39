#include "luthier/model/config.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "luthier/base/error.h"

namespace luthier {
namespace {

void check_rope(const RopeSettings& rope, int64_t head_size, const std::string& source) {
  if (!(rope.base > 0 && std::isfinite(rope.base)))
    fail_input(source, ": rope_theta is ", rope.base, ", and must be above zero");
  if (rope.dimensions < 0 || rope.dimensions > head_size || rope.dimensions % 2 != 0) {
    fail_input(source, ": partial_rotary_factor rotates ", rope.dimensions, " of the ", head_size,
               " dimensions of a head, and must give an even number of them");
  }
  const RopeScaling& scaling = rope.scaling;
  if (!(scaling.factor > 0 && std::isfinite(scaling.factor)))
    fail_input(source, ": the factor of rope scaling is ", scaling.factor);
  if (!(scaling.amplitude > 0 && std::isfinite(scaling.amplitude)))
    fail_input(source, ": the attention_factor of rope scaling is ", scaling.amplitude);
  if (scaling.kind != RopeScaling::Kind::divided) return;
  const int64_t pairs = (rope.dimensions > 0 ? rope.dimensions : head_size) / 2;
  if (static_cast<int64_t>(scaling.divisors.size()) != pairs) {
    fail_input(source, ": rope scaling has ", scaling.divisors.size(), " factors, and a head rotates ", pairs,
               " pairs");
  }
  for (const double divisor : scaling.divisors) {
    if (!(divisor > 0 && std::isfinite(divisor))) fail_input(source, ": a factor of rope scaling is ", divisor);
  }
}

void check_layers(const DecoderConfig& c, const std::string& source) {
  if (c.layer_settings.empty()) return;
  if (static_cast<int64_t>(c.layer_settings.size()) != c.layers) {
    fail_input(source, ": layer_types or no_rope_layers has ", c.layer_settings.size(),
               " entries, and num_hidden_layers is ", c.layers);
  }
  for (const LayerSettings& layer : c.layer_settings) {
    if (layer.window < 0) fail_input(source, ": sliding_window is ", layer.window, ", and must be above zero");
    LUTHIER_CHECK(layer.rope >= -1 && layer.rope < static_cast<int32_t>(c.ropes.size()), "[check_config] rope ",
                  layer.rope);
  }
}

}  // namespace

void set_windows(int64_t window, const std::function<bool(int64_t)>& slides, DecoderConfig& config) {
  // check_config refuses more layers than this, and negative windows.
  config.layer_settings.resize(static_cast<size_t>(std::clamp<int64_t>(config.layers, 0, 1 << 16)));
  const int64_t most = std::numeric_limits<int32_t>::max();
  for (size_t i = 0; i < config.layer_settings.size(); ++i) {
    if (slides(static_cast<int64_t>(i)))
      config.layer_settings[i].window = static_cast<int32_t>(std::clamp<int64_t>(window, -1, most));
  }
}

std::vector<int32_t> windows_of(const DecoderConfig& config) {
  std::vector<int32_t> windows;
  for (int64_t i = 0; i < config.layers; ++i) {
    const int32_t window = config.layer(i).window;
    if (std::find(windows.begin(), windows.end(), window) == windows.end()) windows.push_back(window);
  }
  return windows;
}

void check_config(const DecoderConfig& c, const std::string& source) {
  const auto in_range = [&](const char* key, int64_t value, int64_t most) {
    if (value < 1 || value > most) fail_input(source, ": ", key, " is ", value, ", and must be from 1 to ", most);
  };
  in_range("vocab_size", c.vocabulary_size, int64_t{1} << 24);
  in_range("hidden_size", c.hidden_size, int64_t{1} << 17);
  in_range("intermediate_size", c.intermediate_size, int64_t{1} << 19);
  in_range("num_hidden_layers", c.layers, 4096);
  in_range("num_attention_heads", c.heads, 4096);
  in_range("num_key_value_heads", c.key_heads, 4096);
  in_range("head_dim", c.head_size, 4096);
  in_range("max_position_embeddings", c.max_positions, int64_t{1} << 24);
  if (c.heads % c.key_heads != 0) {
    fail_input(source, ": num_attention_heads (", c.heads, ") is not a multiple of num_key_value_heads (", c.key_heads,
               ")");
  }
  if (c.head_size % 2 != 0)
    fail_input(source, ": head_dim is ", c.head_size, ", and rotary positions need an even number");
  if (!(c.norm_epsilon >= 0 && c.norm_epsilon < 1)) fail_input(source, ": rms_norm_eps is ", c.norm_epsilon);
  const auto scale = [&](const char* key, double value, bool zero_allowed) {
    if (!std::isfinite(value) || !(zero_allowed ? value >= 0 : value > 0)) fail_input(source, ": ", key, " is ", value);
  };
  scale("the scale of attention scores", c.attention_scale, true);
  scale("attn_logit_softcapping", c.attention_soft_cap, true);
  scale("the scale of embeddings", c.embedding_scale, false);
  scale("residual_multiplier", c.residual_scale, false);
  scale("the scale of logits", c.logit_scale, false);
  scale("final_logit_softcapping", c.logit_soft_cap, true);
  for (const RopeSettings& rope : c.ropes) check_rope(rope, c.head_size, source);
  check_layers(c, source);
}

}  // namespace luthier
