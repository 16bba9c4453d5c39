// A small JSON document, checked and held in memory, whose errors name the file and the key.
//
//     const JsonDocument config = read_json_file("model/config.json");
//     const int64_t layers = config.root().at("num_hidden_layers").as_int();
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace luthier {

struct JsonMember;

/// One value of a document, which owns it. Every `as_` and `at` throws InputError that names the file and the key:
/// `config.json: rope_scaling.factor: expected a number, found "4"`.
class JsonValue {
 public:
  using Array = std::vector<JsonValue>;
  using Object = std::vector<JsonMember>;  // sorted by key

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  /// An integer or a double.
  bool is_number() const { return is_int() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  bool as_bool() const;
  /// A number written as an integer; 2.0 is none.
  int64_t as_int() const;
  /// Any number.
  double as_double() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;

  /// The value under a key of this object; nullptr when there is none. A key whose value is null is found.
  const JsonValue* find(std::string_view key) const;
  /// The value under a key of this object.
  const JsonValue& at(std::string_view key) const;

  /// The file and the path of keys to this value: "config.json: layers[3].size".
  std::string where() const;
  /// Throws InputError: "<where>: <what>".
  [[noreturn]] void fail_here(std::string_view what) const;

 private:
  friend class JsonBuilder;
  [[noreturn]] void fail_kind(std::string_view expected) const;

  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
  const JsonValue* parent_ = nullptr;  // the document's root has the name of its file, a string, as parent
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

/// A parsed document. Movable; its values stay where they are.
class JsonDocument {
 public:
  const JsonValue& root() const { return values_[1]; }

 private:
  friend class JsonBuilder;
  std::unique_ptr<JsonValue[]> values_;  // the name of the file, and the root
};

/// Parses strict JSON (see JsonReader). Repeated keys, more than four million values and all that JsonReader refuses
/// throw InputError. `source` is what messages call the text, mostly its path.
JsonDocument parse_json(std::string_view text, std::string source);

/// Reads a JSON file of at most 100 MB. A leading byte order mark is accepted.
JsonDocument read_json_file(const std::string& path);

}  // namespace luthier
