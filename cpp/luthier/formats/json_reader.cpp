#include "luthier/formats/json_reader.h"

#include <charconv>
#include <system_error>
#include <utility>

#include "luthier/base/error.h"
#include "luthier/formats/utf8.h"

namespace luthier {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

JsonReader::JsonReader(std::string_view text, std::string source) : text_(text), source_(std::move(source)) {}

void JsonReader::fail_here(std::string_view what) const { fail_input(source_, ": byte ", position_, ": ", what); }

void JsonReader::skip_blanks() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return;
    ++position_;
  }
}

bool JsonReader::take(char c) {
  if (position_ >= text_.size() || text_[position_] != c) return false;
  ++position_;
  return true;
}

void JsonReader::expect(char c, std::string_view what) {
  skip_blanks();
  if (!take(c)) fail_here(concat("expected ", what, position_ < text_.size() ? "" : ", but the text ends"));
}

void JsonReader::expect_word(std::string_view word) {
  skip_blanks();
  if (!text_.substr(position_).starts_with(word)) fail_here(concat("expected ", word));
  position_ += word.size();
}

JsonReader::Kind JsonReader::peek() {
  skip_blanks();
  if (position_ >= text_.size()) fail_here("expected a value, but the text ends");
  switch (text_[position_]) {
    case 'n':
      return Kind::Null;
    case 't':
    case 'f':
      return Kind::Boolean;
    case '"':
      return Kind::String;
    case '[':
      return Kind::Array;
    case '{':
      return Kind::Object;
    default:
      if (text_[position_] != '-' && !is_digit(text_[position_])) fail_here("expected a JSON value");
      return Kind::Number;
  }
}

void JsonReader::read_null() { expect_word("null"); }

bool JsonReader::read_bool() {
  if (peek() != Kind::Boolean) fail_here("expected true or false");
  const bool value = text_[position_] == 't';
  expect_word(value ? "true" : "false");
  return value;
}

std::variant<int64_t, double> JsonReader::read_number() {
  if (peek() != Kind::Number) fail_here("expected a number");
  const size_t begin = position_;
  const auto digits = [&] {
    if (position_ >= text_.size() || !is_digit(text_[position_])) fail_here("expected a digit");
    while (position_ < text_.size() && is_digit(text_[position_])) ++position_;
  };
  take('-');
  if (!take('0')) digits();  // no leading zeros: a digit after 0 is then no part of the number
  bool whole = true;
  if (take('.')) {
    whole = false;
    digits();
  }
  if (take('e') || take('E')) {
    whole = false;
    if (!take('+')) take('-');
    digits();
  }
  const char* first = text_.data() + begin;
  const char* last = text_.data() + position_;
  if (whole) {
    int64_t value = 0;
    if (std::from_chars(first, last, value).ec == std::errc()) return value;
  }
  double value = 0;
  if (std::from_chars(first, last, value).ec != std::errc()) {
    position_ = begin;
    fail_here("the number does not fit a double");
  }
  return value;
}

int64_t JsonReader::read_int() {
  skip_blanks();
  const size_t begin = position_;
  const auto number = read_number();
  if (const int64_t* value = std::get_if<int64_t>(&number)) return *value;
  position_ = begin;
  fail_here("expected an integer of at most 64 bits");
}

std::string JsonReader::read_string() {
  std::string text;
  read_string_into(text);
  return text;
}

void JsonReader::read_string_into(std::string& text) {
  text.clear();
  expect('"', "a string");
  for (;;) {
    const size_t begin = position_;
    while (position_ < text_.size()) {  // the run of plain ASCII
      const auto c = static_cast<unsigned char>(text_[position_]);
      if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
      ++position_;
    }
    text.append(text_, begin, position_ - begin);
    if (position_ >= text_.size()) fail_here("the text ends within a string");
    const auto c = static_cast<unsigned char>(text_[position_]);
    if (c == '"') {
      ++position_;
      return;
    }
    if (c == '\\') {
      ++position_;
      read_escape(text);
    } else if (c < 0x20) {
      fail_here("a control character within a string; write it as \\u00XX");
    } else {
      const size_t length = utf8_length(text_, position_);
      if (length == 0) fail_here("a string that is not UTF-8");
      text.append(text_, position_, length);
      position_ += length;
    }
  }
}

void JsonReader::read_escape(std::string& text) {
  static constexpr std::string_view kNames = "\"\\/bfnrt";
  static constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
  if (position_ >= text_.size()) fail_here("the text ends within a string");
  const char c = text_[position_];
  if (const size_t index = kNames.find(c); index != std::string_view::npos) {
    ++position_;
    text += kValues[index];
    return;
  }
  if (!take('u')) fail_here("an unknown escape within a string");
  char32_t code = read_hex4();
  if (code >= 0xD800 && code < 0xDC00) {  // the first half of a surrogate pair
    const bool paired = take('\\') && take('u');
    const char32_t second = paired ? read_hex4() : 0;
    if (second < 0xDC00 || second >= 0xE000) fail_here("half of a surrogate pair within a string");
    code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
  } else if (code >= 0xDC00 && code < 0xE000) {
    fail_here("half of a surrogate pair within a string");
  }
  append_utf8(text, code);
}

char32_t JsonReader::read_hex4() {
  uint32_t code = 0;
  const char* first = text_.data() + position_;
  const auto available = text_.size() - position_;
  const auto result = std::from_chars(first, first + (available < 4 ? available : 4), code, 16);
  if (result.ptr != first + 4) fail_here("expected four hexadecimal digits");
  position_ += 4;
  return code;
}

void JsonReader::enter(char opening, std::string_view what) {
  expect(opening, what);
  if (begun_.size() >= kMaxDepth) fail_here(concat("nested deeper than ", kMaxDepth, " levels"));
  begun_.push_back(false);
}

bool JsonReader::next(char closing) {
  LUTHIER_CHECK(!begun_.empty(), "[JsonReader] no array or object is open");
  skip_blanks();
  if (take(closing)) {
    begun_.pop_back();
    return false;
  }
  if (begun_.back()) {
    expect(',', closing == ']' ? "',' or ']'" : "',' or '}'");
    skip_blanks();
  }
  begun_.back() = true;
  return true;
}

void JsonReader::begin_array() { enter('[', "an array"); }
bool JsonReader::next_element() { return next(']'); }
void JsonReader::begin_object() { enter('{', "an object"); }

bool JsonReader::next_key(std::string& key) {
  if (!next('}')) return false;
  read_string_into(key);
  expect(':', "':'");
  return true;
}

void JsonReader::skip() {
  switch (peek()) {
    case Kind::Null:
      return read_null();
    case Kind::Boolean:
      read_bool();
      return;
    case Kind::Number:
      read_number();
      return;
    case Kind::String:
      read_string();
      return;
    case Kind::Array:
      begin_array();
      while (next_element()) skip();
      return;
    case Kind::Object: {
      begin_object();
      for (std::string key; next_key(key);) skip();
      return;
    }
  }
}

void JsonReader::finish() {
  skip_blanks();
  if (position_ < text_.size()) fail_here("text after the end of the JSON value");
}

std::string json_quote(std::string_view text) {
  static constexpr std::string_view kNames = "\"\\bfnrt";
  static constexpr std::string_view kValues = "\"\\\b\f\n\r\t";
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    if (const size_t index = kValues.find(c); index != std::string_view::npos) {
      quoted += '\\';
      quoted += kNames[index];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += "\\u00";
      quoted += kHex[static_cast<size_t>(c) >> 4];
      quoted += kHex[static_cast<size_t>(c) & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string message_quote(std::string_view text) {
  constexpr size_t kMostBytes = 120;
  std::string shown;
  for (size_t position = 0; position < text.size();) {
    if (shown.size() >= kMostBytes) return json_quote(shown + "...");
    const size_t length = utf8_length(text, position);
    shown += length == 0 ? "?" : text.substr(position, length);
    position += length == 0 ? 1 : length;
  }
  return json_quote(shown);
}

}  // namespace luthier
