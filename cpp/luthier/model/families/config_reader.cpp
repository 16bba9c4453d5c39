#include "luthier/model/families/config_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "luthier/base/error.h"

namespace luthier {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// A key that changes what a decoder computes in the architectures that have it, and the value at which it changes
// nothing; null, false and empty lists never do.
struct Feature {
  std::string_view key;
  double neutral = 0;
};
constexpr std::array kFeatures = std::to_array<Feature>({
    {"add_cross_attention"},
    {"alibi"},
    {"attention_bias"},
    {"attention_chunk_size"},
    {"attention_multiplier", kNone},
    {"attn_logit_softcapping"},
    {"clip_qkv"},
    {"embedding_multiplier", 1},
    {"final_logit_softcapping"},
    {"is_encoder_decoder"},
    {"layer_types", kNone},
    {"logit_scale", 1},
    {"logits_scaling", 1},
    {"mlp_bias"},
    {"no_rope_layers", kNone},
    {"partial_rotary_factor", 1},
    {"qk_layernorm"},
    {"qkv_bias"},
    {"query_pre_attn_scalar", kNone},
    {"residual_multiplier", 1},
    {"rope_interleaved"},
    {"rope_local_base_freq", kNone},
    {"rotary_pct", 1},
    {"sliding_window"},
    {"use_bidirectional_attention"},
    {"use_parallel_residual"},
    {"use_qk_norm"},
});
constexpr std::array<std::string_view, 4> kExperts{"num_experts", "num_local_experts", "n_routed_experts",
                                                   "moe_intermediate_size"};
constexpr std::array<std::string_view, 2> kTowers{"vision_config", "audio_config"};

// Whether a value, or every element of a list, is the neutral one.
bool is_neutral(const JsonValue& value, double neutral) {
  if (value.is_null()) return true;
  if (value.is_bool()) return !value.as_bool();
  if (value.is_number()) return value.as_double() == neutral;
  if (value.is_string()) return value.as_string() == "full_attention";  // of layer_types
  if (!value.is_array()) return false;
  const JsonValue::Array& elements = value.as_array();
  return std::ranges::all_of(elements, [](const JsonValue& element) { return is_neutral(element, 1); });
}

constexpr std::array kRopeKeys = std::to_array<std::string_view>(
    {"attention_factor", "beta_fast", "beta_slow", "factor", "finetuned", "high_freq_factor", "long_factor",
     "low_freq_factor", "mscale", "mscale_all_dim", "original_max_position_embeddings", "partial_rotary_factor",
     "rope_theta", "rope_type", "short_factor", "truncate", "type"});

const JsonValue* set_value(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.find(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

double number_of(const JsonValue& object, std::string_view key, double otherwise) {
  const JsonValue* value = set_value(object, key);
  return value != nullptr ? value->as_double() : otherwise;
}

// YaRN's recommended amplitude (Peng et al., 2023, eq. 22).
double yarn_amplitude(double factor, double weight = 1) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}

void read_yarn(const JsonValue& values, int64_t original, RopeScaling& scaling) {
  scaling.kind = RopeScaling::Kind::yarn;
  scaling.factor = values.at("factor").as_double();
  scaling.original_positions = original;
  // A zero is taken as missing, as Transformers does.
  const auto beta = [&](std::string_view key, double otherwise) {
    const double value = number_of(values, key, 0);
    return value != 0 ? value : otherwise;
  };
  scaling.beta_fast = beta("beta_fast", 32);
  scaling.beta_slow = beta("beta_slow", 1);
  if (const JsonValue* truncate = set_value(values, "truncate")) scaling.whole_pairs = truncate->as_bool();
  const double weight = number_of(values, "mscale", 0), weight_of_all = number_of(values, "mscale_all_dim", 0);
  const double amplitude = weight != 0 && weight_of_all != 0
                               ? yarn_amplitude(scaling.factor, weight) / yarn_amplitude(scaling.factor, weight_of_all)
                               : yarn_amplitude(scaling.factor);
  scaling.amplitude = number_of(values, "attention_factor", amplitude);
}

// LongRoPE (Ding et al., 2024), as Phi-3 has it: short divisors up to the original positions, long ones beyond.
void read_longrope(const JsonValue& values, const DecoderConfig& config, int64_t original, RopeScaling& scaling) {
  scaling.kind = RopeScaling::Kind::divided;
  values.at("long_factor").as_array();
  for (const JsonValue& divisor : values.at("short_factor").as_array()) scaling.divisors.push_back(divisor.as_double());
  if (original < 2) values.fail_here("original_max_position_embeddings must be at least 2");
  scaling.original_positions = scaling.most_positions = original;
  const double factor =
      number_of(values, "factor", static_cast<double>(config.max_positions) / static_cast<double>(original));
  const double amplitude = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(original)));
  scaling.amplitude = number_of(values, "attention_factor", amplitude);
}

}  // namespace

const JsonValue* ConfigReader::find(std::string_view key) {
  read_.emplace(key);
  return set_value(root_, key);
}

const JsonValue& ConfigReader::at(std::string_view key) {
  read_.emplace(key);
  return root_.at(key);
}

int64_t ConfigReader::integer(std::string_view key, int64_t otherwise) {
  const JsonValue* value = find(key);
  return value != nullptr ? value->as_int() : otherwise;
}

double ConfigReader::number(std::string_view key, double otherwise) {
  const JsonValue* value = find(key);
  return value != nullptr ? value->as_double() : otherwise;
}

bool ConfigReader::flag(std::string_view key, bool otherwise) {
  const JsonValue* value = find(key);
  return value != nullptr ? value->as_bool() : otherwise;
}

void ConfigReader::refuse_unread() const {
  const std::string& type = root_.at("model_type").as_string();
  for (const std::string_view key : kTowers) {
    if (const JsonValue* value = set_value(root_, key)) value->fail_here("a vision or audio tower is not supported");
  }
  for (const std::string_view key : kExperts) {
    if (const JsonValue* value = set_value(root_, key); value != nullptr && !is_neutral(*value, 0))
      value->fail_here("mixtures of experts are not supported");
  }
  if (const JsonValue* value = set_value(root_, "quantization_config"))
    value->fail_here("weights that another tool has quantised are not supported; use the unquantised model");
  for (const Feature& feature : kFeatures) {
    const JsonValue* value = set_value(root_, feature.key);
    if (value == nullptr || read_.contains(feature.key) || is_neutral(*value, feature.neutral)) continue;
    value->fail_here(concat("the architecture \"", type,
                            "\" has no such setting, and it would change what the model computes; remove the key if "
                            "it means nothing, or mend model_type"));
  }
}

DecoderConfig read_common(ConfigReader& reader, std::string_view family, const CommonDefaults& defaults) {
  DecoderConfig c;
  c.family = family;
  c.vocabulary_size = reader.integer("vocab_size");
  c.hidden_size = reader.integer("hidden_size");
  c.intermediate_size = reader.integer("intermediate_size");
  c.layers = reader.integer("num_hidden_layers");
  c.heads = reader.integer("num_attention_heads");
  c.key_heads =
      defaults.key_heads ? reader.integer("num_key_value_heads", c.heads) : reader.integer("num_key_value_heads");
  const int64_t divided = c.heads > 0 ? c.hidden_size / c.heads : 0;
  c.head_size = reader.integer("head_dim", defaults.head_size > 0 ? defaults.head_size : divided);
  c.max_positions = reader.integer("max_position_embeddings", 2048);
  c.norm_epsilon = reader.number("rms_norm_eps", defaults.epsilon);
  c.tied_head = reader.flag("tie_word_embeddings", defaults.tied);
  return c;
}

void read_activation(ConfigReader& reader, std::initializer_list<std::string_view> accepted, Activation activation,
                     DecoderConfig& config) {
  for (const std::string_view key : {"hidden_act", "hidden_activation"}) {
    const JsonValue* value = reader.find(key);
    if (value == nullptr) continue;
    const std::string_view name = value->as_string();
    if (std::ranges::find(accepted, name) != accepted.end()) continue;
    value->fail_here(concat("the activation \"", value->as_string(), "\" is not supported for this family, which has ",
                            *accepted.begin()));
  }
  config.activation = activation;
}

RopeSettings read_rope(ConfigReader& reader, const DecoderConfig& config, const RopeDefaults& defaults) {
  const double base = reader.number("rope_theta", defaults.base);
  const JsonValue* old = reader.find("rope_scaling");
  const JsonValue* values = reader.find("rope_parameters");
  if (old != nullptr && (!old->is_object() || !old->as_object().empty())) values = old;
  const double fraction = defaults.partial ? reader.number("partial_rotary_factor", 1) : 1;
  const JsonValue* own = values != nullptr ? set_value(*values, "partial_rotary_factor") : nullptr;
  if (own != nullptr && !defaults.partial && own->as_double() != 1)
    own->fail_here("this architecture rotates whole heads, so it must be 1");
  std::optional<int64_t> original = read_optional(reader, "original_max_position_embeddings");
  if (!original) original = defaults.original_positions;
  return rope_of(values, config, base, fraction, original);
}

RopeSettings rope_of(const JsonValue* values, const DecoderConfig& config, double base, double fraction,
                     std::optional<int64_t> original_positions) {
  RopeSettings rope;
  rope.base = base;
  // A fraction that leaves nothing to rotate becomes 1, which check_config refuses as it does every odd number.
  const auto set_fraction = [&] {
    if (fraction == 1) return;
    rope.dimensions = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(config.head_size) * fraction));
  };
  if (values == nullptr) {
    set_fraction();
    return rope;
  }
  for (const JsonMember& member : values->as_object()) {
    if (std::ranges::find(kRopeKeys, std::string_view(member.key)) == kRopeKeys.end())
      member.value.fail_here(
          "rotary positions have no such setting here; known are those of default, linear, llama3, "
          "yarn and longrope");
  }
  rope.base = number_of(*values, "rope_theta", base);
  fraction = number_of(*values, "partial_rotary_factor", fraction);
  set_fraction();
  const JsonValue* kind = set_value(*values, "rope_type");
  if (kind == nullptr) kind = set_value(*values, "type");
  if (kind == nullptr) return rope;
  const std::string& name = kind->as_string();
  RopeScaling& scaling = rope.scaling;
  const JsonValue* original = set_value(*values, "original_max_position_embeddings");
  const int64_t positions =
      original_positions.value_or(original != nullptr ? original->as_int() : config.max_positions);
  if (name == "linear") {
    scaling.kind = RopeScaling::Kind::linear;
    scaling.factor = values->at("factor").as_double();
  } else if (name == "llama3") {
    scaling.kind = RopeScaling::Kind::llama3;
    scaling.factor = values->at("factor").as_double();
    scaling.low_frequency_factor = values->at("low_freq_factor").as_double();
    scaling.high_frequency_factor = values->at("high_freq_factor").as_double();
    scaling.original_positions = positions;
  } else if (name == "longrope" || name == "su" || (name == "yarn" && set_value(*values, "short_factor") != nullptr)) {
    read_longrope(*values, config, positions, scaling);  // early files of Phi-3 call it su, or yarn
  } else if (name == "yarn") {
    read_yarn(*values, positions, scaling);
  } else if (name != "default") {
    kind->fail_here(concat("the rotary scaling \"", name,
                           "\" is not supported; supported: default, linear, llama3, yarn, longrope"));
  }
  return rope;
}

void read_windows(ConfigReader& reader, std::optional<int64_t> window, const std::function<bool(int64_t)>& slides,
                  DecoderConfig& config) {
  std::vector<bool> sliding;
  if (const JsonValue* types = reader.find("layer_types")) {
    for (const JsonValue& type : types->as_array()) {
      const std::string& name = type.as_string();
      if (name != "full_attention" && name != "sliding_attention")
        type.fail_here(concat("\"", name, "\" is not supported; supported: full_attention, sliding_attention"));
      if (name == "sliding_attention" && !window)
        type.fail_here("it is sliding_attention, and the file sets no sliding_window");
      sliding.push_back(name == "sliding_attention");
    }
    if (static_cast<int64_t>(sliding.size()) != config.layers)
      types->fail_here(concat("has ", sliding.size(), " entries, and num_hidden_layers is ", config.layers));
  } else {
    // check_config, which comes later, refuses more layers than this.
    for (int64_t i = 0; i < std::min<int64_t>(config.layers, 1 << 16); ++i) sliding.push_back(window && slides(i));
  }
  if (std::ranges::find(sliding, true) == sliding.end()) return;
  if (*window < 1) fail_input(reader.root().where(), ": sliding_window is ", *window, ", and must be above zero");
  set_windows(*window, [&](int64_t i) { return sliding[static_cast<size_t>(i)]; }, config);
}

void read_upper_windows(ConfigReader& reader, DecoderConfig& config) {
  std::optional<int64_t> window = read_optional(reader, "sliding_window");
  if (!reader.flag("use_sliding_window", false)) window.reset();
  const int64_t first = reader.integer("max_window_layers", 28);
  read_windows(reader, window, [&](int64_t i) { return i >= first; }, config);
}

std::optional<int64_t> read_optional(ConfigReader& reader, std::string_view key) {
  const JsonValue* value = reader.find(key);
  return value != nullptr ? std::optional(value->as_int()) : std::nullopt;
}

}  // namespace luthier
