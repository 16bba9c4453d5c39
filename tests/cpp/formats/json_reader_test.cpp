#include "luthier/formats/json_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "luthier/base/error.h"

namespace luthier {
namespace {

std::string message_of(const std::string& text) {
  try {
    JsonReader reader(text, "a.json");
    reader.skip();
    reader.finish();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(JsonReader, ReadsValuesOneAfterTheOther) {
  JsonReader reader(R"( {"a": [1, -2.5e1, true, null], "b": "c"} )", "a.json");
  std::string key;
  reader.begin_object();
  ASSERT_TRUE(reader.next_key(key));
  EXPECT_EQ(key, "a");
  reader.begin_array();
  ASSERT_TRUE(reader.next_element());
  EXPECT_EQ(reader.read_int(), 1);
  ASSERT_TRUE(reader.next_element());
  EXPECT_EQ(std::get<double>(reader.read_number()), -25.0);
  ASSERT_TRUE(reader.next_element());
  EXPECT_TRUE(reader.read_bool());
  ASSERT_TRUE(reader.next_element());
  reader.read_null();
  EXPECT_FALSE(reader.next_element());
  ASSERT_TRUE(reader.next_key(key));
  EXPECT_EQ(reader.read_string(), "c");
  EXPECT_FALSE(reader.next_key(key));
  reader.finish();
}

TEST(JsonReader, DecodesEscapes) {
  JsonReader reader(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00")", "a.json");
  EXPECT_EQ(reader.read_string(), "\"\\/\b\f\n\r\tA\u00e9\u20ac\U0001F600");
}

TEST(JsonReader, TakesIntegersBeyond64BitsAsDoubles) {
  EXPECT_EQ(std::get<int64_t>(JsonReader("9223372036854775807", "").read_number()), INT64_MAX);
  EXPECT_EQ(std::get<int64_t>(JsonReader("-9223372036854775808", "").read_number()), INT64_MIN);
  EXPECT_EQ(std::get<double>(JsonReader("9223372036854775808", "").read_number()), 0x1p63);
  EXPECT_THROW(JsonReader("9223372036854775808", "").read_int(), InputError);
  EXPECT_THROW(JsonReader("1.0", "").read_int(), InputError);
}

TEST(JsonReader, RefusesWhatIsNoJson) {
  for (const std::string text : {"",
                                 " ",
                                 "{",
                                 "[",
                                 "[1",
                                 "[1,",
                                 "[1,]",
                                 "[,1]",
                                 "[1 2]",
                                 "{\"a\"",
                                 "{\"a\":",
                                 "{\"a\":1",
                                 "{\"a\":1,}",
                                 "{a:1}",
                                 "{\"a\" 1}",
                                 "{1:1}",
                                 "01",
                                 "-",
                                 "+1",
                                 "1.",
                                 ".5",
                                 "1e",
                                 "1e+",
                                 "0x10",
                                 "NaN",
                                 "Infinity",
                                 "-Infinity",
                                 "1e999",
                                 "nul",
                                 "tru",
                                 "True",
                                 "'a'",
                                 "\"",
                                 "\"a",
                                 "\"\\",
                                 "\"\\x41\"",
                                 "\"\\u12\"",
                                 "\"\\u12G4\"",
                                 "\"\\u+123\"",
                                 "\"\\ud800\"",
                                 "\"\\ud800\\u0041\"",
                                 "\"\\udc00\"",
                                 "\"\n\"",
                                 "1 2",
                                 "[] []",
                                 "// 1",
                                 "]",
                                 "}",
                                 "[}",
                                 "{]"}) {
    EXPECT_NE(message_of(text), "") << text;
  }
  EXPECT_NE(message_of(std::string("\"\0\"", 3)), "");
}

TEST(JsonReader, RefusesStringsThatAreNotUtf8) {
  for (const std::string text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80",
                                 "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82"}) {
    EXPECT_NE(message_of("\"" + text + "\""), "");
  }
  EXPECT_EQ(message_of("\"\u00e9\u20ac\U0001F600\U0010FFFF\""), "");
}

TEST(JsonReader, LimitsTheDepth) {
  EXPECT_EQ(message_of(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_EQ(message_of(std::string(65, '[') + std::string(65, ']')), "a.json: byte 65: nested deeper than 64 levels");
  EXPECT_NE(message_of(std::string(1'000'000, '[')), "");
}

TEST(JsonReader, NamesTheSourceAndTheByte) { EXPECT_EQ(message_of("[1, x]"), "a.json: byte 4: expected a JSON value"); }

TEST(JsonQuote, GivesBackTheSameString) {
  std::string text;
  for (int c = 0; c < 128; ++c) text += static_cast<char>(c);
  text += "\u00e9\U0001F600";
  const std::string quoted = json_quote(text);
  EXPECT_EQ(JsonReader(quoted, "").read_string(), text);
}

TEST(MessageQuote, ShortensAndMendsTheText) {
  EXPECT_EQ(message_quote("a\xFF\u00e9\n"), "\"a?\u00e9\\n\"");
  EXPECT_EQ(message_quote(std::string(1'000'000, 'x')), "\"" + std::string(120, 'x') + "...\"");
}

}  // namespace
}  // namespace luthier
