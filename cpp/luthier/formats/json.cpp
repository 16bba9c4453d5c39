#include "luthier/formats/json.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "luthier/base/error.h"
#include "luthier/base/mapped_file.h"
#include "luthier/formats/json_reader.h"

namespace luthier {
namespace {

constexpr size_t kMaxFileBytes = 100'000'000;
constexpr size_t kMaxValues = 4'000'000;

bool is_plain(std::string_view key) {
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-'; };
  return key.size() < 100 && std::ranges::all_of(key, plain);
}

}  // namespace

/// Builds the values, and tells each its parent once none moves any more.
class JsonBuilder {
 public:
  static JsonDocument build(std::string_view text, const std::string& source) {
    JsonReader reader(text, source);
    JsonDocument document;
    document.values_ = std::make_unique<JsonValue[]>(2);
    document.values_[0].value_ = source;
    JsonBuilder{reader}.read(document.values_[1]);
    reader.finish();
    link(document.values_[1], &document.values_[0]);
    return document;
  }

 private:
  explicit JsonBuilder(JsonReader& reader) : reader_(reader) {}

  void read(JsonValue& value) {
    if (++count_ > kMaxValues) reader_.fail_here(concat("more than ", kMaxValues, " values"));
    switch (reader_.peek()) {
      case JsonReader::Kind::Null:
        return reader_.read_null();
      case JsonReader::Kind::Boolean:
        value.value_ = reader_.read_bool();
        return;
      case JsonReader::Kind::Number:
        std::visit([&](auto number) { value.value_ = number; }, reader_.read_number());
        return;
      case JsonReader::Kind::String:
        value.value_ = reader_.read_string();
        return;
      case JsonReader::Kind::Array: {
        JsonValue::Array elements;
        reader_.begin_array();
        while (reader_.next_element()) read(elements.emplace_back());
        value.value_ = std::move(elements);
        return;
      }
      case JsonReader::Kind::Object: {
        JsonValue::Object members;
        reader_.begin_object();
        for (std::string key; reader_.next_key(key);) {
          members.emplace_back().key = key;
          read(members.back().value);
        }
        std::ranges::sort(members, {}, &JsonMember::key);
        const auto twice = std::ranges::adjacent_find(members, {}, &JsonMember::key);
        if (twice != members.end()) reader_.fail_here(concat("the key ", message_quote(twice->key), " stands twice"));
        value.value_ = std::move(members);
        return;
      }
    }
  }

  static void link(JsonValue& value, const JsonValue* parent) {
    value.parent_ = parent;
    if (auto* array = std::get_if<JsonValue::Array>(&value.value_)) {
      for (JsonValue& element : *array) link(element, &value);
    } else if (auto* object = std::get_if<JsonValue::Object>(&value.value_)) {
      for (JsonMember& member : *object) link(member.value, &value);
    }
  }

  JsonReader& reader_;
  size_t count_ = 0;
};

std::string JsonValue::where() const {
  std::string path;
  const JsonValue* value = this;
  for (; value->parent_ != nullptr; value = value->parent_) {
    if (const Array* array = std::get_if<Array>(&value->parent_->value_)) {
      path = concat("[", value - array->data(), "]", path.starts_with('[') || path.empty() ? "" : ".", path);
    } else if (const Object* object = std::get_if<Object>(&value->parent_->value_)) {
      const auto member = std::ranges::find_if(*object, [&](const JsonMember& m) { return &m.value == value; });
      path = concat(is_plain(member->key) ? member->key : message_quote(member->key),
                    path.starts_with('[') || path.empty() ? "" : ".", path);
    }
  }
  const std::string* source = std::get_if<std::string>(&value->value_);
  return source == nullptr || value == this ? path : path.empty() ? *source : *source + ": " + path;
}

void JsonValue::fail_here(std::string_view what) const { fail_input(where(), ": ", what); }

void JsonValue::fail_kind(std::string_view expected) const {
  std::string found = "null";
  if (is_bool()) found = as_bool() ? "true" : "false";
  if (is_number()) found = concat(as_double());
  if (is_string()) found = message_quote(std::get<std::string>(value_));
  if (is_array()) found = "an array";
  if (is_object()) found = "an object";
  fail_here(concat("expected ", expected, ", found ", found));
}

bool JsonValue::as_bool() const {
  if (const bool* value = std::get_if<bool>(&value_)) return *value;
  fail_kind("true or false");
}

int64_t JsonValue::as_int() const {
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return *value;
  fail_kind("an integer");
}

double JsonValue::as_double() const {
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return static_cast<double>(*value);
  if (const double* value = std::get_if<double>(&value_)) return *value;
  fail_kind("a number");
}

const std::string& JsonValue::as_string() const {
  if (const std::string* value = std::get_if<std::string>(&value_)) return *value;
  fail_kind("a string");
}

const JsonValue::Array& JsonValue::as_array() const {
  if (const Array* value = std::get_if<Array>(&value_)) return *value;
  fail_kind("an array");
}

const JsonValue::Object& JsonValue::as_object() const {
  if (const Object* value = std::get_if<Object>(&value_)) return *value;
  fail_kind("an object");
}

const JsonValue* JsonValue::find(std::string_view key) const {
  const Object& members = as_object();
  const auto found =
      std::ranges::lower_bound(members, key, {}, [](const JsonMember& m) -> std::string_view { return m.key; });
  return found != members.end() && found->key == key ? &found->value : nullptr;
}

const JsonValue& JsonValue::at(std::string_view key) const {
  if (const JsonValue* value = find(key)) return *value;
  fail_here(concat("the key ", message_quote(key), " is missing"));
}

JsonDocument parse_json(std::string_view text, std::string source) { return JsonBuilder::build(text, source); }

JsonDocument read_json_file(const std::string& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMaxFileBytes) {
    fail_input(path, ": has ", file.bytes().size(), " bytes, more than the ", kMaxFileBytes, " allowed for JSON");
  }
  std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return parse_json(text, path);
}

}  // namespace luthier
