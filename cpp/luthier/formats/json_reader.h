// A strict JSON reader (RFC 8259) that hands out one value at a time and builds nothing, for text of strangers.
//
//     JsonReader reader(text, "model.safetensors: header");
//     std::string key;
//     reader.begin_object();
//     while (reader.next_key(key)) {
//       if (key == "shape") ... else reader.skip();
//     }
//     reader.finish();
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace luthier {

/// Every member throws InputError, with the source and the byte, when the text is not what is asked for. Strings must
/// be UTF-8; arrays and objects nest up to 64 deep. Repeated keys are for the caller to refuse.
class JsonReader {
 public:
  enum class Kind { Null, Boolean, Number, String, Array, Object };
  static constexpr size_t kMaxDepth = 64;

  /// `text` must outlive the reader; `source` opens each message: a file, or a part of one.
  JsonReader(std::string_view text, std::string source);

  /// What stands next. Reads over blanks alone.
  Kind peek();
  void read_null();
  bool read_bool();
  /// An integer when it is written as one and fits 64 bits, else the nearest double; infinite ones are refused.
  std::variant<int64_t, double> read_number();
  /// A number written as an integer within 64 bits.
  int64_t read_int();
  std::string read_string();
  /// Enters an array. `next_element` says whether another value follows, and leaves the array when none does.
  void begin_array();
  bool next_element();
  /// Enters an object. `next_key` reads the key of the next member, or leaves the object and returns false.
  void begin_object();
  bool next_key(std::string& key);
  /// Reads over one value of any kind.
  void skip();
  /// Nothing but blanks may be left.
  void finish();

  /// Throws InputError: "<source>: byte <position>: <what>".
  [[noreturn]] void fail_here(std::string_view what) const;

 private:
  void skip_blanks();
  bool take(char c);
  void expect(char c, std::string_view what);
  void expect_word(std::string_view word);
  void enter(char opening, std::string_view what);
  bool next(char closing);
  void read_string_into(std::string& text);
  void read_escape(std::string& text);
  char32_t read_hex4();

  std::string_view text_;
  std::string source_;
  size_t position_ = 0;
  std::vector<bool> begun_;  // for each open array or object: whether an element was read
};

/// The text as a JSON string with its quotes; `text` is UTF-8.
std::string json_quote(std::string_view text);

/// The text as messages show it: quoted, without control characters, at most about 120 bytes of it, and UTF-8 whatever
/// it was.
std::string message_quote(std::string_view text);

}  // namespace luthier
