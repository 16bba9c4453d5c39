// Reading config.json for the families: values by key, and at the end whether a key that changes the result was left
// unread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "luthier/formats/json.h"
#include "luthier/model/config.h"

namespace luthier {

/// The root object of a config.json. Remembers which keys were asked for.
class ConfigReader {
 public:
  explicit ConfigReader(const JsonValue& root) : root_(root) {}

  /// The value under a key; nullptr when it is missing or null.
  const JsonValue* find(std::string_view key);
  /// The same, required. Throws InputError that names the key.
  const JsonValue& at(std::string_view key);
  int64_t integer(std::string_view key) { return at(key).as_int(); }
  int64_t integer(std::string_view key, int64_t otherwise);
  double number(std::string_view key, double otherwise);
  bool flag(std::string_view key, bool otherwise);
  const JsonValue& root() const { return root_; }

  /// Throws InputError that names the key, where one is set that changes what a decoder computes in some architecture
  /// and was not asked for: this family would leave it out. Keys that nobody knows are left alone.
  void refuse_unread() const;

 private:
  const JsonValue& root_;
  std::set<std::string, std::less<>> read_;
};

/// What a key means where it is missing.
struct CommonDefaults {
  bool tied = false;
  bool key_heads = true;  // num_key_value_heads may be missing: as many as heads
  int64_t head_size = 0;  // 0: hidden_size / num_attention_heads
  double epsilon = 1e-6;
};

/// The keys that all families have: sizes, epsilon, tied head.
DecoderConfig read_common(ConfigReader& reader, std::string_view family, const CommonDefaults& defaults = {});

/// Sets the activation; under each key that is there its name must be one of `accepted`, else InputError names the key.
void read_activation(ConfigReader& reader, std::initializer_list<std::string_view> accepted, Activation activation,
                     DecoderConfig& config);

/// What a family's rotary settings are where a file does not say.
struct RopeDefaults {
  double base = 10000;
  bool partial = false;                                      // whether the family knows partial_rotary_factor
  std::optional<int64_t> original_positions = std::nullopt;  // none: max_position_embeddings
};

/// rope_theta and rope_scaling of Transformers 4, or rope_parameters of Transformers 5. The scalings default, linear,
/// llama3, yarn and longrope; others, and keys that none of them has, are refused by name. Needs the sizes.
RopeSettings read_rope(ConfigReader& reader, const DecoderConfig& config, const RopeDefaults& defaults = {});

/// The same from one object of rotary settings; null: the base alone.
RopeSettings rope_of(const JsonValue* values, const DecoderConfig& config, double base, double fraction = 1,
                     std::optional<int64_t> original_positions = std::nullopt);

/// The window of each layer: from layer_types ("full_attention" or "sliding_attention"), or where there is none, from
/// `slides`, which is asked for each layer. `window` is undefined where the file sets none.
void read_windows(ConfigReader& reader, std::optional<int64_t> window, const std::function<bool(int64_t)>& slides,
                  DecoderConfig& config);

/// The same from use_sliding_window, sliding_window and max_window_layers, as Qwen has them: a window in the layers
/// from max_window_layers on.
void read_upper_windows(ConfigReader& reader, DecoderConfig& config);

/// A whole number under a key, if it is set.
std::optional<int64_t> read_optional(ConfigReader& reader, std::string_view key);

}  // namespace luthier
