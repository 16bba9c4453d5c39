#include "luthier/formats/safetensors.h"

#include <gtest/gtest.h>

#include <utility>

#include "files.h"
#include "luthier/base/random.h"
#include "luthier/formats/safetensors_writer.h"

namespace luthier {
namespace {

std::string with_header(const std::string& header, size_t data) {
  return raw(uint64_t{header.size()}) + header + std::string(data, '\1');
}

TEST(Safetensors, ReadsBackWhatWasWritten) {
  const std::string path = test_folder() + "a.safetensors";
  const std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  const std::vector<uint8_t> bytes = {7, 8, 9};
  const std::vector<TensorView> tensors = {{"z", DType::F32, {2, 3}, std::as_bytes(std::span(numbers))},
                                           {"a \"\u00e9\"", DType::U8, {3}, std::as_bytes(std::span(bytes))},
                                           {"empty", DType::F16, {0, 4}, {}}};
  write_safetensors(path, tensors, {{"format", "pt"}, {"note", "line\nbreak"}});

  SafetensorsFile opened(path);
  const SafetensorsFile file = std::move(opened);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a \"\u00e9\"", "empty", "z"}));
  EXPECT_EQ(file.metadata().at("note"), "line\nbreak");
  EXPECT_EQ(file.tensor("z").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(file.tensor("z").data.data(), numbers.data(), 24), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensor("z").data.data()) % 8, 0u);
  EXPECT_EQ(file.tensor("empty").data.size(), 0u);
  EXPECT_EQ(file.find("b"), nullptr);
  EXPECT_NE(input_error([&] { file.tensor("b"); }).find("a.safetensors: has no tensor \"b\""), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(Safetensors, RefusesDamagedHeaders) {
  const std::string path = test_folder() + "a.safetensors";
  const auto tensor = [](const std::string& fields) { return "{\"t\":{" + fields + "}}"; };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "has 0 bytes"},
      {raw(uint64_t{100}) + "{}", "header claims 100 bytes"},
      {raw(~uint64_t{0}) + "{}", "header claims"},
      {with_header("[]", 0), "begin with '{'"},
      {with_header("{} x", 0), "text after the end"},
      {with_header("{}", 1), "1 bytes at the end"},
      {with_header(tensor(""), 0), "is missing"},
      {with_header(tensor(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])"), 4), "\"F31\" is unknown"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), 3), "lie outside the 3 bytes"},
      {with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4), "takes 8"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4), "lie outside"},
      {with_header(tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4), "negative"},
      {with_header(tensor(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), 4), "expected an integer"},
      {with_header(tensor(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])"), 0), "impossible"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), 4), "two numbers"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), 4), "more than 2"},
      {with_header(tensor(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), 4), "stands twice"},
      {with_header(R"({"__metadata__":{"a":1}})", 0), "expected a string"},
      {with_header(R"({"__metadata__":{"a":"","a":""}})", 0), "stands twice"},
      {with_header(
           R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
           3),
       "tensor \"b\": its bytes overlap"},
      {with_header(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2), "follow a gap"},
      {with_header(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
           2),
       "\"a\" stands twice"},
  };
  for (const auto& [bytes, expected] : cases) {
    write_file(path, bytes);
    const std::string message = input_error([&] { SafetensorsFile{path}; });
    EXPECT_NE(message.find(expected), std::string::npos) << "expected: " << expected << "\nmessage: " << message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
  }
}

// For the sanitizers: whatever is accepted can be read to its last byte.
TEST(Safetensors, SurvivesChangedBytes) {
  const std::string path = test_folder() + "a.safetensors";
  const std::string data(24, 'x');
  const auto bytes = std::as_bytes(std::span(data));
  const std::vector<TensorView> tensors = {{"a", DType::F32, {2, 3}, bytes}, {"b", DType::U8, {2}, bytes.first(2)}};
  write_safetensors(path, tensors, {{"format", "pt"}});
  const std::string valid = read_file(path);
  Random random(0, 0);
  size_t accepted = 0, sum = 0;
  for (int i = 0; i < 500; ++i) {
    std::string changed = valid;
    for (uint32_t n = random.below(3) + 1; n > 0; --n) {
      changed[random.below(static_cast<uint32_t>(changed.size()))] = static_cast<char>(random.bits());
    }
    write_file(path, changed);
    input_error([&] {
      const SafetensorsFile file(path);
      ++accepted;
      for (const TensorView& tensor : file.tensors()) {
        for (const std::byte byte : tensor.data) sum += static_cast<size_t>(byte);
      }
    });
  }
  EXPECT_GT(accepted, 20u);
  EXPECT_LT(accepted, 480u);
  EXPECT_GT(sum, 0u);
}

TEST(SafetensorsWriter, WritesTheSameBytesInAnyOrder) {
  const std::string folder = test_folder();
  const std::string data(12, 'x');
  const auto bytes = std::as_bytes(std::span(data));
  const std::vector<TensorDeclaration> declarations = {
      {"b", DType::U8, {3}}, {"c", DType::F32, {3}}, {"a", DType::F32, {1}}};
  SafetensorsWriter first(folder + "1", declarations);
  first.write("a", bytes.first(4));
  first.write("b", bytes.first(3));
  first.write("c", bytes);
  first.finish();
  SafetensorsWriter second(folder + "2", {declarations[2], declarations[0], declarations[1]});
  second.write("c", bytes);
  second.write("b", bytes.first(3));
  second.write("a", bytes.first(4));
  second.finish();
  EXPECT_EQ(read_file(folder + "1"), read_file(folder + "2"));
  EXPECT_EQ(SafetensorsFile(folder + "1").tensors().size(), 3u);
}

TEST(SafetensorsWriter, LeavesTheOldFileUnlessItFinishes) {
  const std::string path = write_file(test_folder() + "a", "old");
  {
    SafetensorsWriter writer(path, {{"a", DType::U8, {1}}});
    EXPECT_THROW(writer.finish(), Error);
  }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(SafetensorsWriter, RefusesMisuse) {
  const std::string folder = test_folder();
  const auto declare = [&](TensorDeclaration t) { SafetensorsWriter(folder + "a", {t}); };
  EXPECT_NE(input_error([&] { declare({"a", DType::Q4_0, {32}}); }), "");
  EXPECT_NE(input_error([&] { declare({"a", DType::F32, {-1}}); }), "");
  EXPECT_NE(input_error([&] { declare({"__metadata__", DType::F32, {1}}); }), "");
  EXPECT_NE(input_error([&] { declare({"\xFF", DType::F32, {1}}); }), "");
  EXPECT_NE(input_error([&] { SafetensorsWriter(folder + "no/a", {}); }).find("No such file"), std::string::npos);
  EXPECT_NE(input_error([&] { SafetensorsWriter(folder + "a", {{"a", DType::U8, {1}}, {"a", DType::F32, {1}}}); }), "");
  SafetensorsWriter writer(folder + "a", {{"a", DType::U8, {1}}});
  const std::byte bytes[2] = {};
  EXPECT_THROW(writer.write("b", std::span(bytes).first(1)), Error);
  EXPECT_THROW(writer.write("a", bytes), Error);
  writer.write("a", std::span(bytes).first(1));
  EXPECT_THROW(writer.write("a", std::span(bytes).first(1)), Error);
}

}  // namespace
}  // namespace luthier
