#include "luthier/formats/json.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>

#include "luthier/base/error.h"

namespace luthier {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Json, GivesEachKindOfValue) {
  const JsonDocument document =
      parse_json(R"({"layers": 30, "theta": 1e4, "tied": true, "kind": "llama", "ids": [1, 2], "rope": {"factor": 2.5},
                    "none": null})",
                 "config.json");
  const JsonValue& root = document.root();
  EXPECT_EQ(root.at("layers").as_int(), 30);
  EXPECT_EQ(root.at("layers").as_double(), 30.0);
  EXPECT_EQ(root.at("theta").as_double(), 1e4);
  EXPECT_TRUE(root.at("tied").as_bool());
  EXPECT_EQ(root.at("kind").as_string(), "llama");
  EXPECT_EQ(root.at("ids").as_array().at(1).as_int(), 2);
  EXPECT_EQ(root.at("rope").at("factor").as_double(), 2.5);
  EXPECT_TRUE(root.at("none").is_null());
  EXPECT_EQ(root.find("missing"), nullptr);
  EXPECT_EQ(root.as_object().size(), 7u);
}

TEST(Json, NamesFileAndKeyInErrors) {
  const JsonDocument document =
      parse_json(R"({"rope": {"factor": "4"}, "layers": [{"size": 2.0}, null], "a b": [[true]]})", "model/config.json");
  const JsonValue& root = document.root();
  EXPECT_EQ(message_of([&] { root.at("heads"); }), "model/config.json: the key \"heads\" is missing");
  EXPECT_EQ(message_of([&] { root.at("rope").at("base"); }), "model/config.json: rope: the key \"base\" is missing");
  EXPECT_EQ(message_of([&] { root.at("rope").at("factor").as_double(); }),
            "model/config.json: rope.factor: expected a number, found \"4\"");
  EXPECT_EQ(message_of([&] { root.at("layers").as_array()[0].at("size").as_int(); }),
            "model/config.json: layers[0].size: expected an integer, found 2");
  EXPECT_EQ(message_of([&] { root.at("layers").as_array()[1].as_string(); }),
            "model/config.json: layers[1]: expected a string, found null");
  EXPECT_EQ(message_of([&] { root.at("a b").as_array()[0].as_array()[0].as_object(); }),
            "model/config.json: \"a b\"[0][0]: expected an object, found true");
  EXPECT_EQ(message_of([&] { root.as_array(); }), "model/config.json: expected an array, found an object");
}

TEST(Json, KeepsItsValuesWhenMoved) {
  JsonDocument first = parse_json(R"({"a": {"b": 1}})", "x.json");
  const JsonValue& value = first.root().at("a").at("b");
  const JsonDocument second = std::move(first);
  EXPECT_EQ(&second.root().at("a").at("b"), &value);
  EXPECT_EQ(value.where(), "x.json: a.b");
}

TEST(Json, RefusesRepeatedKeys) {
  EXPECT_NE(message_of([] { parse_json(R"({"a": 1, "b": 2, "a": 1})", "x"); }).find("\"a\" stands twice"),
            std::string::npos);
  EXPECT_NE(message_of([] { parse_json(R"({"a": 1, "\u0061": 1})", "x"); }), "");
}

TEST(Json, LimitsTheCountOfValues) {
  std::string text = "[0";
  for (int i = 0; i < 4'000'000; ++i) text += ",0";
  EXPECT_NE(message_of([&] { parse_json(text + "]", "x"); }).find("more than 4000000 values"), std::string::npos);
}

TEST(Json, ReadsAFileWithAByteOrderMark) {
  const std::string path = testing::TempDir() + "bom.json";
  std::ofstream(path) << "\xEF\xBB\xBF{\"a\": 1}";
  EXPECT_EQ(read_json_file(path).root().at("a").as_int(), 1);
  EXPECT_NE(message_of([] { read_json_file("/no/such/file.json"); }).find("/no/such/file.json"), std::string::npos);
}

}  // namespace
}  // namespace luthier
