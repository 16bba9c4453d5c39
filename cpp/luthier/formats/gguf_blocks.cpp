#include "luthier/formats/gguf_blocks.h"

#include <cstdint>
#include <cstring>

#include "luthier/base/error.h"
#include "luthier/formats/half.h"
#include "luthier/formats/json_reader.h"

// The block types, as defined in ggml (ggml-common.h and ggml-quants.c of https://github.com/ggml-org/ggml). Scales are
// halves, quants 4 to 8 bits, so every product below is exact in fp32 and contraction changes no bit.

namespace luthier {
namespace {

// Blocks of 32: element i is in the low four bits of quants[i], element i + 16 in the high ones. A fifth bit of
// element i is bit i of `high`.
constexpr int kBlock = 32;

struct BlockQ4_0 {
  uint16_t scale;
  uint8_t quants[kBlock / 2];
  void read(float* out) const {
    const float d = half_to_float(scale);
    for (int i = 0; i < kBlock / 2; ++i) {
      out[i] = d * static_cast<float>((quants[i] & 15) - 8);
      out[i + kBlock / 2] = d * static_cast<float>((quants[i] >> 4) - 8);
    }
  }
};

struct BlockQ4_1 {
  uint16_t scale, minimum;
  uint8_t quants[kBlock / 2];
  void read(float* out) const {
    const float d = half_to_float(scale), m = half_to_float(minimum);
    for (int i = 0; i < kBlock / 2; ++i) {
      out[i] = d * static_cast<float>(quants[i] & 15) + m;
      out[i + kBlock / 2] = d * static_cast<float>(quants[i] >> 4) + m;
    }
  }
};

struct BlockQ5_0 {
  uint16_t scale;
  uint8_t high[4];
  uint8_t quants[kBlock / 2];
  void read(float* out) const {
    const float d = half_to_float(scale);
    uint32_t bits;
    std::memcpy(&bits, high, sizeof(bits));
    for (int i = 0; i < kBlock / 2; ++i) {
      const int low = (quants[i] & 15) | static_cast<int>(bits >> i & 1) << 4;
      const int upper = (quants[i] >> 4) | static_cast<int>(bits >> (i + kBlock / 2) & 1) << 4;
      out[i] = d * static_cast<float>(low - 16);
      out[i + kBlock / 2] = d * static_cast<float>(upper - 16);
    }
  }
};

struct BlockQ5_1 {
  uint16_t scale, minimum;
  uint8_t high[4];
  uint8_t quants[kBlock / 2];
  void read(float* out) const {
    const float d = half_to_float(scale), m = half_to_float(minimum);
    uint32_t bits;
    std::memcpy(&bits, high, sizeof(bits));
    for (int i = 0; i < kBlock / 2; ++i) {
      const int low = (quants[i] & 15) | static_cast<int>(bits >> i & 1) << 4;
      const int upper = (quants[i] >> 4) | static_cast<int>(bits >> (i + kBlock / 2) & 1) << 4;
      out[i] = d * static_cast<float>(low) + m;
      out[i + kBlock / 2] = d * static_cast<float>(upper) + m;
    }
  }
};

struct BlockQ8_0 {
  uint16_t scale;
  int8_t quants[kBlock];
  void read(float* out) const {
    const float d = half_to_float(scale);
    for (int i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(quants[i]);
  }
};

// Blocks of 256 (the "K" types): sub-blocks of 32 or 16 with integer scales of their own.
constexpr int kSuperBlock = 256;

// The scale and minimum of sub-block j of eight, six bits each in twelve bytes: those of the first four in the low six
// bits of bytes 0-3 and 4-7; of the last four, the low bits in bytes 8-11 and the upper two above the first four's.
struct SubScale {
  float scale, minimum;
  SubScale(const uint8_t* packed, int j)
      : scale(static_cast<float>(j < 4 ? packed[j] & 63 : (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4)),
        minimum(static_cast<float>(j < 4 ? packed[j + 4] & 63 : packed[j + 4] >> 4 | (packed[j] >> 6) << 4)) {}
};

struct BlockQ4_K {
  uint16_t scale, minimum;
  uint8_t scales[12];
  uint8_t quants[kSuperBlock / 2];  // 32 bytes for each pair of sub-blocks: the even one in the low four bits
  void read(float* out) const {
    for (int j = 0; j < 8; ++j) {
      const SubScale sub(scales, j);
      const float d = half_to_float(scale) * sub.scale, m = half_to_float(minimum) * sub.minimum;
      const uint8_t* q = quants + j / 2 * 32;
      for (int i = 0; i < 32; ++i) out[j * 32 + i] = d * static_cast<float>(q[i] >> (j % 2 * 4) & 15) - m;
    }
  }
};

struct BlockQ5_K {
  uint16_t scale, minimum;
  uint8_t scales[12];
  uint8_t high[kSuperBlock / 8];  // the fifth bit of element i of sub-block j is bit j of high[i]
  uint8_t quants[kSuperBlock / 2];
  void read(float* out) const {
    for (int j = 0; j < 8; ++j) {
      const SubScale sub(scales, j);
      const float d = half_to_float(scale) * sub.scale, m = half_to_float(minimum) * sub.minimum;
      const uint8_t* q = quants + j / 2 * 32;
      for (int i = 0; i < 32; ++i) {
        const int quant = (q[i] >> (j % 2 * 4) & 15) | (high[i] >> j & 1) << 4;
        out[j * 32 + i] = d * static_cast<float>(quant) - m;
      }
    }
  }
};

struct BlockQ6_K {
  uint8_t low[kSuperBlock / 2];   // 64 bytes for each half: its first 64 elements in the low four bits
  uint8_t high[kSuperBlock / 4];  // 32 bytes for each half: two bits for each of its four runs of 32
  int8_t scales[kSuperBlock / 16];
  uint16_t scale;
  void read(float* out) const {
    for (int j = 0; j < 8; ++j) {  // runs of 32
      const int half = j / 4, run = j % 4;
      const uint8_t* ql = low + half * 64 + run % 2 * 32;
      const uint8_t* qh = high + half * 32;
      for (int i = 0; i < 32; ++i) {
        const int quant = (ql[i] >> (run / 2 * 4) & 15) | (qh[i] >> (run * 2) & 3) << 4;
        const float d = half_to_float(scale) * static_cast<float>(scales[j * 2 + i / 16]);
        out[j * 32 + i] = d * static_cast<float>(quant - 32);
      }
    }
  }
};

// Copies each block out of the file first, since it need not be aligned there.
template <class Block, DType type>
void read_blocks(const std::byte* bytes, float* out, int64_t blocks) {
  for (int64_t b = 0; b < blocks; ++b) {
    Block block;
    std::memcpy(&block, bytes + b * sizeof(Block), sizeof(Block));
    block.read(out + b * block_elements(type));
  }
}

template <class T, class Convert>
void convert_all(const std::byte* bytes, float* out, int64_t count, Convert convert) {
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
    out[i] = convert(value);
  }
}

}  // namespace

bool can_dequantize(DType type) {
  return type == DType::F64 || type == DType::F32 || type == DType::F16 || type == DType::BF16 ||
         (type >= DType::Q4_0 && type <= DType::Q6_K);
}

void dequantize(DType type, std::span<const std::byte> bytes, std::span<float> values) {
  const auto blocks = static_cast<int64_t>(bytes.size()) / block_bytes(type);
  LUTHIER_CHECK(blocks * block_bytes(type) == static_cast<int64_t>(bytes.size()) &&
                    blocks * block_elements(type) == static_cast<int64_t>(values.size()),
                "[dequantize] ", bytes.size(), " bytes of ", dtype_name(type), " are not ", values.size(), " elements");
  const std::byte* in = bytes.data();
  float* out = values.data();
  switch (type) {
    case DType::F64:
      return convert_all<double>(in, out, blocks, [](double value) { return static_cast<float>(value); });
    case DType::F32:
      if (!bytes.empty()) std::memcpy(out, in, bytes.size());
      return;
    case DType::F16:
      return convert_all<uint16_t>(in, out, blocks, half_to_float);
    case DType::BF16:
      return convert_all<uint16_t>(in, out, blocks, bfloat16_to_float);
    case DType::Q4_0:
      return read_blocks<BlockQ4_0, DType::Q4_0>(in, out, blocks);
    case DType::Q4_1:
      return read_blocks<BlockQ4_1, DType::Q4_1>(in, out, blocks);
    case DType::Q5_0:
      return read_blocks<BlockQ5_0, DType::Q5_0>(in, out, blocks);
    case DType::Q5_1:
      return read_blocks<BlockQ5_1, DType::Q5_1>(in, out, blocks);
    case DType::Q8_0:
      return read_blocks<BlockQ8_0, DType::Q8_0>(in, out, blocks);
    case DType::Q4_K:
      return read_blocks<BlockQ4_K, DType::Q4_K>(in, out, blocks);
    case DType::Q5_K:
      return read_blocks<BlockQ5_K, DType::Q5_K>(in, out, blocks);
    case DType::Q6_K:
      return read_blocks<BlockQ6_K, DType::Q6_K>(in, out, blocks);
    default:
      fail("[dequantize] ", dtype_name(type), " cannot be dequantised");
  }
}

void dequantize(const TensorView& tensor, std::span<float> values) {
  if (!can_dequantize(tensor.type)) {
    fail_input("tensor ", message_quote(tensor.name), ": its type ", dtype_name(tensor.type),
               " cannot be dequantised; use a file in F16, BF16, Q8_0, Q6_K, Q5_K or Q4_K");
  }
  dequantize(tensor.type, tensor.data, values);
}

}  // namespace luthier
