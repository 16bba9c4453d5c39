// Reading GGUF files (versions 2 and 3, little-endian): typed metadata, then tensors, plain or block-quantised.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
//
//     const GgufFile file("model.gguf");
//     const int64_t layers = file.integer("llama.block_count");
//     const TensorView& weight = file.tensor("blk.0.attn_q.weight");
//     std::vector<float> values(element_count);
//     dequantize(weight.type, weight.data, values);             // gguf_blocks.h
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "luthier/base/mapped_file.h"
#include "luthier/formats/tensor_view.h"

namespace luthier {

/// The type of a metadata value, as numbered in the file.
// clang-format off
enum class GgufType : uint32_t {
  UInt8, Int8, UInt16, Int16, UInt32, Int32, Float32, Bool, String, Array, UInt64, Int64, Float64,
};
// clang-format on

struct GgufArray;

/// One value: integers of all signed types as int64_t, of all unsigned types as uint64_t, both float types as double.
/// Strings are UTF-8 that lies in the mapped file.
using GgufValue = std::variant<int64_t, uint64_t, double, bool, std::string_view, GgufArray>;

/// An array of values of one type. The elements stay in the mapped file.
struct GgufArray {
  GgufType element = GgufType::UInt8;
  uint64_t size = 0;
  std::span<const std::byte> numbers;     // the elements, when they are numbers or booleans
  std::vector<std::string_view> strings;  // when they are strings
  std::vector<GgufArray> arrays;          // when they are arrays

  /// The element at `index`, below size.
  GgufValue at(uint64_t index) const;
};

struct GgufEntry {
  std::string_view key;
  GgufType type = GgufType::UInt8;
  GgufValue value;
};

/// A mapped GGUF file. Movable; all views and strings live as long as the file, or what it was moved to.
class GgufFile {
 public:
  /// Maps the file and reads everything but the tensors' bytes. Counts, lengths and offsets are checked against the
  /// size of the file before anything is allocated for them. Throws InputError that names the file and the key or
  /// tensor.
  explicit GgufFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  uint32_t version() const { return version_; }
  /// All metadata in the order of the file.
  std::span<const GgufEntry> metadata() const { return metadata_; }
  /// The value under a key, or nullptr.
  const GgufValue* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  /// The value under a key as one type. Each throws InputError, naming file and key, when the key is missing or its
  /// value has another type; `integer` and `real` take every integer type that fits.
  int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::string_view string(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<double> reals(std::string_view key) const;
  const std::vector<std::string_view>& strings(std::string_view key) const;

  /// All tensors in the order of the file. Shapes are in torch's order: the reverse of the file's.
  std::span<const TensorView> tensors() const { return tensors_; }
  /// The tensor of that name, or nullptr.
  const TensorView* find_tensor(std::string_view name) const;
  /// The tensor of that name; throws InputError when the file has none.
  const TensorView& tensor(std::string_view name) const;

 private:
  MappedFile file_;
  uint32_t version_ = 0;
  std::vector<GgufEntry> metadata_;
  std::vector<TensorView> tensors_;
  std::vector<size_t> key_order_, name_order_;  // metadata_ by key, tensors_ by name
};

}  // namespace luthier
