#include "luthier/formats/gguf_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "luthier/base/error.h"
#include "luthier/formats/json_reader.h"
#include "luthier/formats/utf8.h"

namespace luthier {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are used as they lie in the file");

constexpr uint32_t kMaxDimensions = 4;  // GGML_MAX_DIMS
constexpr int kMaxArrayDepth = 8;
constexpr uint64_t kDefaultAlignment = 32;

// Bytes of one number or boolean; 0 for strings, arrays and unknown types.
uint64_t number_bytes(GgufType type) {
  switch (type) {
    case GgufType::UInt8:
    case GgufType::Int8:
    case GgufType::Bool:
      return 1;
    case GgufType::UInt16:
    case GgufType::Int16:
      return 2;
    case GgufType::UInt32:
    case GgufType::Int32:
    case GgufType::Float32:
      return 4;
    case GgufType::UInt64:
    case GgufType::Int64:
    case GgufType::Float64:
      return 8;
    default:
      return 0;
  }
}

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  GgufContents read() {
    GgufContents contents;
    if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0)
      fail_at("does not begin with GGUF: no GGUF file");
    position_ = 4;
    contents.version = number<uint32_t>("the version");
    if (contents.version == 0x02000000 || contents.version == 0x03000000) {
      fail_at("is a big-endian GGUF file, which is not read; convert it to little-endian");
    }
    if (contents.version != 2 && contents.version != 3) {
      fail_at("is of GGUF version ", contents.version, ", and 2 and 3 are read; convert the model again");
    }
    const auto tensors = number<uint64_t>("the count of tensors");
    const auto entries = number<uint64_t>("the count of metadata");
    check_count(tensors, 24, "tensors");  // at least the length of a name, a count of dimensions, a type, an offset
    check_count(entries, 13, "metadata entries");
    for (uint64_t i = 0; i < entries; ++i) contents.metadata.push_back(entry());
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < tensors; ++i) contents.tensors.push_back(declaration(offsets));
    place(contents.tensors, offsets, alignment(contents.metadata));
    return contents;
  }

 private:
  uint64_t remaining() const { return bytes_.size() - position_; }

  template <class... Parts>
  [[noreturn]] void fail_at(const Parts&... parts) const {
    fail_input(path_, ": ", context_, context_.empty() ? "" : ": ", parts...);
  }

  template <class T>
  T number(std::string_view what) {
    if (remaining() < sizeof(T)) fail_at("the file ends within ", what, "; it is cut off or damaged");
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  void check_count(uint64_t count, uint64_t least_bytes, std::string_view what) const {
    if (count > remaining() / least_bytes) {
      fail_at("claims ", count, " ", what, ", more than the file's ", bytes_.size(),
              " bytes can hold; it is cut off or damaged");
    }
  }

  std::string_view text(std::string_view what) {
    const auto length = number<uint64_t>(what);
    check_count(length, 1, "bytes of text");
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + position_, length);
    if (!is_utf8(text)) fail_at(what, " is not UTF-8; the file is damaged");
    position_ += length;
    return text;
  }

  GgufEntry entry() {
    context_ = "metadata";
    GgufEntry entry;
    entry.key = text("a key");
    context_ = concat("metadata ", message_quote(entry.key));
    entry.type = type();
    entry.value = value(entry.type);
    context_.clear();
    return entry;
  }

  GgufType type() {
    const auto id = number<uint32_t>("a type");
    if (id > static_cast<uint32_t>(GgufType::Float64))
      fail_at("the value type ", id, " is unknown; the file is damaged");
    return static_cast<GgufType>(id);
  }

  GgufValue value(GgufType type) {
    if (type == GgufType::String) return text("a string");
    if (type == GgufType::Array) return array(1);
    return numbers(type, 1).at(0);
  }

  GgufArray numbers(GgufType type, uint64_t count) {
    check_count(count, number_bytes(type), "values");
    GgufArray array{type, count, bytes_.subspan(position_, count * number_bytes(type)), {}, {}};
    position_ += array.numbers.size();
    if (type == GgufType::Bool && std::ranges::any_of(array.numbers, [](std::byte b) { return b > std::byte{1}; })) {
      fail_at("a boolean is neither 0 nor 1; the file is damaged");
    }
    return array;
  }

  GgufArray array(int depth) {
    if (depth > kMaxArrayDepth) fail_at("arrays nested deeper than ", kMaxArrayDepth, " levels");
    const GgufType element = type();
    const auto count = number<uint64_t>("the size of an array");
    if (number_bytes(element) > 0) return numbers(element, count);
    GgufArray array{element, count, {}, {}, {}};
    if (element == GgufType::String) {
      check_count(count, 8, "strings");
      array.strings.reserve(count);
      for (uint64_t i = 0; i < count; ++i) array.strings.push_back(text("a string"));
    } else {
      check_count(count, 12, "arrays");
      for (uint64_t i = 0; i < count; ++i) array.arrays.push_back(this->array(depth + 1));
    }
    return array;
  }

  uint64_t alignment(const std::vector<GgufEntry>& metadata) {
    const auto found = std::ranges::find(metadata, "general.alignment", &GgufEntry::key);
    if (found == metadata.end()) return kDefaultAlignment;
    const uint64_t* value = std::get_if<uint64_t>(&found->value);
    if (value == nullptr || found->type != GgufType::UInt32 || !std::has_single_bit(*value)) {
      fail_at("general.alignment is no power of two of type uint32; the file is damaged");
    }
    return *value;
  }

  TensorView declaration(std::vector<uint64_t>& offsets) {
    context_ = "tensors";
    TensorView tensor;
    tensor.name = text("a name");
    context_ = concat("tensor ", message_quote(tensor.name));
    const auto dimensions = number<uint32_t>("a count of dimensions");
    if (dimensions > kMaxDimensions) fail_at("has ", dimensions, " dimensions, more than ", kMaxDimensions);
    for (uint32_t i = 0; i < dimensions; ++i) {
      const auto size = number<uint64_t>("a dimension");
      if (size > INT64_MAX) fail_at("has a dimension of ", size, "; the file is damaged");
      tensor.shape.push_back(static_cast<int64_t>(size));
    }
    std::ranges::reverse(tensor.shape);  // the file names the innermost dimension first
    const auto id = number<uint32_t>("a type");
    const auto type = dtype_from_gguf(id);
    if (!type) fail_at("has the unknown type ", id, "; convert the model to F16, Q8_0 or Q4_K");
    tensor.type = *type;
    offsets.push_back(number<uint64_t>("an offset"));
    context_.clear();
    return tensor;
  }

  // Gives each tensor its bytes, which must lie within the file, aligned, and apart from the others'.
  void place(std::vector<TensorView>& tensors, const std::vector<uint64_t>& offsets, uint64_t alignment) {
    const uint64_t padding = (alignment - position_ % alignment) % alignment;
    const auto data = tensors.empty() || padding > remaining() ? bytes_.last(0) : bytes_.subspan(position_ + padding);
    std::vector<std::pair<uint64_t, size_t>> order;
    for (size_t i = 0; i < tensors.size(); ++i) {
      TensorView& tensor = tensors[i];
      context_ = concat("tensor ", message_quote(tensor.name));
      const auto bytes = byte_count(tensor.type, tensor.shape);
      if (!bytes) fail_at("the shape ", shape_text(tensor.shape), " is impossible for ", dtype_name(tensor.type));
      if (offsets[i] % alignment != 0) fail_at("its offset ", offsets[i], " is no multiple of ", alignment);
      if (offsets[i] > data.size() || static_cast<uint64_t>(*bytes) > data.size() - offsets[i]) {
        fail_at("its ", *bytes, " bytes at offset ", offsets[i], " lie outside the ", data.size(),
                " bytes of data; the file is cut off or damaged");
      }
      tensor.data = data.subspan(offsets[i], static_cast<size_t>(*bytes));
      if (*bytes > 0) order.emplace_back(offsets[i], i);
    }
    std::ranges::sort(order);
    for (size_t i = 1; i < order.size(); ++i) {
      const TensorView& before = tensors[order[i - 1].second];
      if (order[i - 1].first + before.data.size() > order[i].first) {
        context_ = concat("tensor ", message_quote(tensors[order[i].second].name));
        fail_at("its bytes overlap those of ", message_quote(before.name), "; the file is damaged");
      }
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& path_;
  size_t position_ = 0;
  std::string context_;  // the key or tensor being read, for messages
};

}  // namespace

GgufContents read_gguf(std::span<const std::byte> bytes, const std::string& path) { return Reader(bytes, path).read(); }

}  // namespace luthier
