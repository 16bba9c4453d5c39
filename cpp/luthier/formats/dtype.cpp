#include "luthier/formats/dtype.h"

#include <algorithm>
#include <array>

#include "luthier/base/error.h"

namespace luthier {
namespace {

constexpr int kNoId = -1;

struct Entry {
  DType type;
  std::string_view name;
  int64_t elements, bytes;  // of one block
  bool safetensors;
  int gguf;  // the number of the type in GGUF files
};

// In the order of DType. Sizes of the block types: the fields of a block are listed in gguf_blocks.cpp.
constexpr std::array kEntries = {
    Entry{DType::F64, "F64", 1, 8, true, 28},
    Entry{DType::F32, "F32", 1, 4, true, 0},
    Entry{DType::F16, "F16", 1, 2, true, 1},
    Entry{DType::BF16, "BF16", 1, 2, true, 30},
    Entry{DType::F8_E4M3, "F8_E4M3", 1, 1, true, kNoId},
    Entry{DType::F8_E5M2, "F8_E5M2", 1, 1, true, kNoId},
    Entry{DType::I64, "I64", 1, 8, true, 27},
    Entry{DType::I32, "I32", 1, 4, true, 26},
    Entry{DType::I16, "I16", 1, 2, true, 25},
    Entry{DType::I8, "I8", 1, 1, true, 24},
    Entry{DType::U64, "U64", 1, 8, true, kNoId},
    Entry{DType::U32, "U32", 1, 4, true, kNoId},
    Entry{DType::U16, "U16", 1, 2, true, kNoId},
    Entry{DType::U8, "U8", 1, 1, true, kNoId},
    Entry{DType::Bool, "BOOL", 1, 1, true, kNoId},
    Entry{DType::Q4_0, "Q4_0", 32, 18, false, 2},
    Entry{DType::Q4_1, "Q4_1", 32, 20, false, 3},
    Entry{DType::Q5_0, "Q5_0", 32, 22, false, 6},
    Entry{DType::Q5_1, "Q5_1", 32, 24, false, 7},
    Entry{DType::Q8_0, "Q8_0", 32, 34, false, 8},
    Entry{DType::Q4_K, "Q4_K", 256, 144, false, 12},
    Entry{DType::Q5_K, "Q5_K", 256, 176, false, 13},
    Entry{DType::Q6_K, "Q6_K", 256, 210, false, 14},
    Entry{DType::Q2_K, "Q2_K", 256, 84, false, 10},
    Entry{DType::Q3_K, "Q3_K", 256, 110, false, 11},
    Entry{DType::Q8_1, "Q8_1", 32, 40, false, 9},
    Entry{DType::Q8_K, "Q8_K", 256, 292, false, 15},
    Entry{DType::IQ1_S, "IQ1_S", 256, 50, false, 19},
    Entry{DType::IQ1_M, "IQ1_M", 256, 56, false, 29},
    Entry{DType::IQ2_XXS, "IQ2_XXS", 256, 66, false, 16},
    Entry{DType::IQ2_XS, "IQ2_XS", 256, 74, false, 17},
    Entry{DType::IQ2_S, "IQ2_S", 256, 82, false, 22},
    Entry{DType::IQ3_XXS, "IQ3_XXS", 256, 98, false, 18},
    Entry{DType::IQ3_S, "IQ3_S", 256, 110, false, 21},
    Entry{DType::IQ4_NL, "IQ4_NL", 32, 18, false, 20},
    Entry{DType::IQ4_XS, "IQ4_XS", 256, 136, false, 23},
    Entry{DType::TQ1_0, "TQ1_0", 256, 54, false, 34},
    Entry{DType::TQ2_0, "TQ2_0", 256, 66, false, 35},
    Entry{DType::MXFP4, "MXFP4", 32, 17, false, 39},
};

constexpr bool in_order_of_dtype() {
  for (size_t i = 0; i < kEntries.size(); ++i) {
    if (static_cast<size_t>(kEntries[i].type) != i) return false;
  }
  return true;
}
static_assert(in_order_of_dtype());

const Entry& entry(DType type) { return kEntries.at(static_cast<size_t>(type)); }

}  // namespace

std::string_view dtype_name(DType type) { return entry(type).name; }
int64_t block_elements(DType type) { return entry(type).elements; }
int64_t block_bytes(DType type) { return entry(type).bytes; }
bool is_safetensors_dtype(DType type) { return entry(type).safetensors; }

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  const auto found = std::ranges::find_if(kEntries, [&](const Entry& e) { return e.safetensors && e.name == name; });
  return found == kEntries.end() ? std::nullopt : std::optional(found->type);
}

std::optional<DType> dtype_from_gguf(uint32_t id) {
  const auto found =
      std::ranges::find_if(kEntries, [&](const Entry& e) { return e.gguf != kNoId && uint32_t(e.gguf) == id; });
  return found == kEntries.end() ? std::nullopt : std::optional(found->type);
}

std::optional<int64_t> byte_count(DType type, std::span<const int64_t> shape) {
  const Entry& e = entry(type);
  if (e.elements > 1 && (shape.empty() || shape.back() % e.elements != 0)) return std::nullopt;
  // The dimensions that are not zero must fit as well: strides are computed from them.
  int64_t elements = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(elements, std::max<int64_t>(size, 1), &elements)) return std::nullopt;
    empty = empty || size == 0;
  }
  int64_t bytes = 0;
  if (__builtin_mul_overflow((elements + e.elements - 1) / e.elements, e.bytes, &bytes)) return std::nullopt;
  return empty ? 0 : bytes;
}

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace luthier
