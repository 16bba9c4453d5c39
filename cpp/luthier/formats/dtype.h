// Element types of tensors in files, plain and block-quantised, and how many bytes they take.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace luthier {

/// How the elements of a tensor are stored. The types from Q4_0 on are those of GGUF: rows are cut into blocks of
/// 32 or 256 elements that share a scale. Those from Q2_K on can be listed, and are not dequantised.
// clang-format off
enum class DType : uint8_t {
  F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64, I32, I16, I8, U64, U32, U16, U8, Bool,
  Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K,
  Q2_K, Q3_K, Q8_1, Q8_K, IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, MXFP4,
};
// clang-format on

/// "F32", "BF16", "Q4_K": the name that both safetensors and GGUF tools use; "BOOL" for Bool.
std::string_view dtype_name(DType type);
/// Elements that share one block: 1 for the plain types.
int64_t block_elements(DType type);
/// Bytes of one block: the element size for the plain types.
int64_t block_bytes(DType type);

/// The type that a safetensors header calls `name`; nothing when it is unknown or has no whole number of bytes.
std::optional<DType> dtype_from_safetensors(std::string_view name);
/// Whether a safetensors file can hold the type.
bool is_safetensors_dtype(DType type);
/// The type that a GGUF file numbers `id`; nothing when it is unknown.
std::optional<DType> dtype_from_gguf(uint32_t id);

/// Bytes of a dense tensor. Nothing when a dimension is negative, the last one is not a whole number of blocks,
/// or the count of elements or of bytes does not fit 63 bits.
std::optional<int64_t> byte_count(DType type, std::span<const int64_t> shape);

/// "[2, 3]", for messages.
std::string shape_text(std::span<const int64_t> shape);

}  // namespace luthier
