#include "luthier/formats/gguf.h"

#include <gtest/gtest.h>

#include "files.h"
#include "luthier/base/random.h"
#include "luthier/formats/gguf_blocks.h"
#include "luthier/formats/gguf_reader.h"

namespace luthier {
namespace {

std::string text(const std::string& value) { return raw(uint64_t{value.size()}) + value; }

std::string entry(const std::string& key, GgufType type, const std::string& value) {
  return text(key) + raw(static_cast<uint32_t>(type)) + value;
}

std::string array(GgufType type, uint64_t size, const std::string& elements) {
  return raw(static_cast<uint32_t>(type)) + raw(size) + elements;
}

std::string declare(const std::string& name, const std::vector<uint64_t>& dimensions, uint32_t type, uint64_t offset) {
  std::string bytes = text(name) + raw(static_cast<uint32_t>(dimensions.size()));
  for (const uint64_t size : dimensions) bytes += raw(size);
  return bytes + raw(type) + raw(offset);
}

std::string head(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
  return "GGUF" + raw(version) + raw(tensors) + raw(entries);
}

std::string padded(std::string bytes, size_t alignment) {
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
  return bytes;
}

std::string refusal(const std::string& bytes) {
  const std::string path = write_file(test_folder() + "a.gguf", bytes);
  const std::string message = input_error([&] { GgufFile{path}; });
  EXPECT_TRUE(message.empty() || message.starts_with(path + ": ")) << message;
  return message;
}

#define EXPECT_REFUSED(bytes, expected)                              \
  do {                                                               \
    const std::string message = refusal(bytes);                      \
    EXPECT_NE(message.find(expected), std::string::npos) << message; \
  } while (false)

TEST(Gguf, ReadsEveryTypeOfValue) {
  std::string bytes = head(0, 15, 2);
  bytes += entry("u8", GgufType::UInt8, raw(uint8_t{200})) + entry("i8", GgufType::Int8, raw(int8_t{-100}));
  bytes += entry("u16", GgufType::UInt16, raw(uint16_t{60000})) + entry("i16", GgufType::Int16, raw(int16_t{-30000}));
  bytes += entry("u32", GgufType::UInt32, raw(uint32_t{4000000000})) + entry("i32", GgufType::Int32, raw(int32_t{-5}));
  bytes += entry("u64", GgufType::UInt64, raw(~uint64_t{0})) + entry("i64", GgufType::Int64, raw(INT64_MIN));
  bytes += entry("f32", GgufType::Float32, raw(1.5f)) + entry("f64", GgufType::Float64, raw(0.1));
  bytes += entry("bool", GgufType::Bool, raw(true)) + entry("text", GgufType::String, text("h\u00e9"));
  bytes += entry("words", GgufType::Array, array(GgufType::String, 2, text("a") + text("")));
  bytes += entry("numbers", GgufType::Array, array(GgufType::Int16, 2, raw(int16_t{-1}) + raw(int16_t{2})));
  bytes += entry("nested", GgufType::Array,
                 array(GgufType::Array, 2, array(GgufType::Bool, 1, "\1") + array(GgufType::Float32, 1, raw(2.5f))));
  GgufFile opened(write_file(test_folder() + "a.gguf", bytes));
  const GgufFile file = std::move(opened);
  EXPECT_EQ(file.version(), 2u);
  EXPECT_EQ(file.metadata().size(), 15u);
  EXPECT_EQ(file.metadata()[1].key, "i8");
  EXPECT_EQ(file.integer("u8"), 200);
  EXPECT_EQ(file.integer("i8"), -100);
  EXPECT_EQ(file.integer("u16"), 60000);
  EXPECT_EQ(file.integer("i16"), -30000);
  EXPECT_EQ(file.integer("u32"), 4000000000);
  EXPECT_EQ(file.real("i32"), -5.0);
  EXPECT_EQ(file.integer("i64"), INT64_MIN);
  EXPECT_EQ(std::get<uint64_t>(*file.find("u64")), ~uint64_t{0});
  EXPECT_EQ(file.real("f32"), 1.5);
  EXPECT_EQ(file.real("f64"), 0.1);
  EXPECT_TRUE(file.boolean("bool"));
  EXPECT_EQ(file.string("text"), "h\u00e9");
  EXPECT_EQ(file.strings("words"), (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(file.integers("numbers"), (std::vector<int64_t>{-1, 2}));
  EXPECT_EQ(file.reals("numbers"), (std::vector<double>{-1, 2}));
  const auto& nested = std::get<GgufArray>(*file.find("nested"));
  EXPECT_TRUE(std::get<bool>(nested.arrays[0].at(0)));
  EXPECT_EQ(std::get<double>(nested.arrays[1].at(0)), 2.5);
  EXPECT_THROW(nested.at(2), Error);

  EXPECT_FALSE(file.has("missing"));
  EXPECT_NE(input_error([&] { file.integer("missing"); }).find("metadata \"missing\" is missing"), std::string::npos);
  EXPECT_NE(input_error([&] { file.integer("u64"); }).find("\"u64\" is not an integer"), std::string::npos);
  EXPECT_NE(input_error([&] { file.string("u8"); }).find("\"u8\" is not a string"), std::string::npos);
  EXPECT_NE(input_error([&] { file.strings("numbers"); }).find("\"numbers\" is not an array of strings"),
            std::string::npos);
}

TEST(Gguf, PlacesTensorsByTheAlignment) {
  std::string bytes = head(2, 1) + entry("general.alignment", GgufType::UInt32, raw(uint32_t{64}));
  bytes += declare("b", {3, 2}, 0, 64) + declare("a", {2}, 26, 0);
  bytes = padded(padded(bytes, 64) + raw(int32_t{7}) + raw(int32_t{-8}), 64);
  for (float value : {1, 2, 3, 4, 5, 6}) bytes += raw(value);
  const GgufFile file(write_file(test_folder() + "a.gguf", bytes));
  EXPECT_EQ(file.tensors()[0].name, "b");
  EXPECT_EQ(file.tensor("b").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(file.tensor("b").data.data() + 20, raw(6.0f).data(), 4), 0);
  EXPECT_EQ(std::memcmp(file.tensor("a").data.data() + 4, raw(int32_t{-8}).data(), 4), 0);
  EXPECT_EQ(file.find_tensor("c"), nullptr);
}

TEST(Gguf, RefusesOtherFiles) {
  EXPECT_REFUSED("", "no GGUF file");
  EXPECT_REFUSED("GGML1234567890", "no GGUF file");
  EXPECT_REFUSED(head(0, 0, 1), "version 1");
  EXPECT_REFUSED(head(0, 0, 4), "version 4");
  EXPECT_REFUSED(head(0, 0, 0x03000000), "big-endian");
  EXPECT_EQ(refusal(head(0, 0)), "");
}

TEST(Gguf, RefusesHostileMetadata) {
  EXPECT_REFUSED(head(0, ~uint64_t{0}), "claims 18446744073709551615 metadata entries");
  EXPECT_REFUSED(head(~uint64_t{0}, 0), "claims 18446744073709551615 tensors");
  const std::string rest(100, '\0');
  EXPECT_REFUSED(head(0, 1) + raw(~uint64_t{0}) + rest, "bytes of text");
  EXPECT_REFUSED(head(0, 1) + raw(~uint64_t{0} - 8) + rest, "bytes of text");
  EXPECT_REFUSED(head(0, 1) + text("k\xFF") + rest, "not UTF-8");
  EXPECT_REFUSED(head(0, 1) + entry("k", static_cast<GgufType>(13), rest), "\"k\": the value type 13");
  EXPECT_REFUSED(head(0, 1) + entry("k", GgufType::Bool, "\2"), "neither 0 nor 1");
  EXPECT_REFUSED(head(0, 1) + entry("key", GgufType::UInt64, "1234"), "\"key\": claims 1 values");
  for (uint64_t size : {~uint64_t{0}, uint64_t{1} << 61, uint64_t{1} << 32, uint64_t{1000}}) {
    for (GgufType type : {GgufType::UInt8, GgufType::Float64, GgufType::String, GgufType::Array}) {
      EXPECT_REFUSED(head(0, 1) + entry("k", GgufType::Array, array(type, size, rest)), "\"k\": claims");
    }
  }
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += raw(static_cast<uint32_t>(GgufType::Array)) + raw(uint64_t{1});
  EXPECT_REFUSED(head(0, 1) + entry("k", GgufType::Array, nested), "nested deeper");
  const std::string twice = entry("k", GgufType::Bool, "\1") + entry("k", GgufType::Bool, "\1");
  EXPECT_REFUSED(head(0, 2) + twice, "\"k\" stands twice");
  for (uint32_t alignment : {0, 3, 33}) {
    EXPECT_REFUSED(head(0, 1) + entry("general.alignment", GgufType::UInt32, raw(alignment)), "general.alignment");
  }
}

TEST(Gguf, RefusesHostileTensors) {
  const std::string data(64, '\0');
  const auto file = [&](const std::string& declarations, uint64_t count = 1) {
    return padded(head(count, 0) + declarations, 32) + data;
  };
  EXPECT_EQ(refusal(file(declare("t", {16}, 0, 0))), "");
  EXPECT_REFUSED(file(declare("t", {17}, 0, 0)), "tensor \"t\": its 68 bytes");
  EXPECT_REFUSED(file(declare("t", {1}, 0, 96)), "lie outside");
  EXPECT_REFUSED(file(declare("t", {1}, 0, ~uint64_t{31})), "lie outside");
  EXPECT_REFUSED(file(declare("t", {1}, 0, 4)), "no multiple of 32");
  EXPECT_REFUSED(file(declare("t", {~uint64_t{0}}, 0, 0)), "dimension of");
  EXPECT_REFUSED(file(declare("t", {uint64_t{1} << 62, 4}, 0, 0)), "impossible");
  EXPECT_REFUSED(file(declare("t", {uint64_t{1} << 32, uint64_t{1} << 32, 0}, 0, 0)), "impossible");
  EXPECT_REFUSED(file(declare("t", {31}, 2, 0)), "impossible for Q4_0");
  EXPECT_REFUSED(file(declare("t", {1, 1, 1, 1, 1}, 0, 0)), "5 dimensions");
  EXPECT_REFUSED(file(declare("t", {1}, 4, 0)), "unknown type 4");
  EXPECT_REFUSED(file(declare("t", {9}, 0, 0) + declare("s", {8}, 0, 32), 2),
                 "tensor \"s\": its bytes overlap those of \"t\"");
  EXPECT_REFUSED(file(declare("t", {8}, 0, 0) + declare("t", {8}, 0, 32), 2), "\"t\" stands twice");
  EXPECT_REFUSED(head(1, 0) + declare("t", {1}, 0, 0), "lie outside the 0 bytes");
}

TEST(Gguf, RefusesEveryTruncation) {
  std::string bytes = head(1, 2) + entry("words", GgufType::Array, array(GgufType::String, 2, text("a") + text("b")));
  bytes += entry("number", GgufType::Float64, raw(1.0)) + declare("t", {2}, 0, 0);
  bytes = padded(bytes, 32) + raw(1.0f) + raw(2.0f);
  EXPECT_EQ(refusal(bytes), "");
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_NE(refusal(bytes.substr(0, size)), "") << size;
}

// For the sanitizers: whatever is accepted can be read to its last byte.
TEST(Gguf, SurvivesChangedBytes) {
  std::string valid = head(2, 2) + entry("words", GgufType::Array, array(GgufType::String, 2, text("a") + text("b")));
  valid += entry("numbers", GgufType::Array, array(GgufType::Int32, 2, raw(1) + raw(2)));
  valid += declare("t", {2}, 0, 0) + declare("q", {32}, 2, 32);
  valid = padded(padded(valid, 32) + raw(1.0f) + raw(2.0f), 32) + std::string(18, 'x');
  Random random(0, 0);
  size_t accepted = 0, sum = 0;
  for (int i = 0; i < 30000; ++i) {
    std::string changed = valid;
    for (uint32_t n = random.below(3) + 1; n > 0; --n) {
      const char extremes[] = {'\0', '\1', '\x7F', '\xFF', static_cast<char>(random.bits())};
      changed[random.below(static_cast<uint32_t>(changed.size()))] = extremes[random.below(5)];
    }
    changed.shrink_to_fit();
    input_error([&] {
      const GgufContents contents = read_gguf(std::as_bytes(std::span(changed)), "a.gguf");
      ++accepted;
      for (const GgufEntry& entry : contents.metadata) {
        const auto* array = std::get_if<GgufArray>(&entry.value);
        for (uint64_t k = 0; array != nullptr && k < array->size; ++k) sum += array->at(k).index();
      }
      for (const TensorView& tensor : contents.tensors) {
        if (!can_dequantize(tensor.type)) continue;
        std::vector<float> values(tensor.data.size() / static_cast<size_t>(block_bytes(tensor.type)) *
                                  static_cast<size_t>(block_elements(tensor.type)));
        dequantize(tensor, values);
      }
    });
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_LT(accepted, 29000u);
  EXPECT_GT(sum, 0u);
}

}  // namespace
}  // namespace luthier
