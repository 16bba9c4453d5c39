#include <ATen/Parallel.h>

#include <algorithm>

#include "luthier/ops/cpu/packed_head.h"
#include "luthier/ops/cpu/softmax_tile.h"
#include "luthier/ops/cpu/token_logprob.h"

namespace luthier::cpu {
namespace {

/// Adds the logits of a tile, kWidth columns side by side, to the running maxima and sums.
template <int64_t kWidth>
LUTHIER_INLINE void add_tile(const float* logits, int64_t tokens, float scale, float* maxima, float* sums) {
  float maximum[kWidth], sum[kWidth];
#pragma omp simd
  for (int64_t j = 0; j < kWidth; ++j) maximum[j] = maxima[j];
  for (int64_t v = 0; v < tokens; ++v) {
#pragma omp simd
    for (int64_t j = 0; j < kWidth; ++j) {
      const float z = scale * logits[v * kWidth + j];
      maximum[j] = z > maximum[j] ? z : maximum[j];
    }
  }
#pragma omp simd
  for (int64_t j = 0; j < kWidth; ++j) sum[j] = sums[j] * exponential(maxima[j] - maximum[j]);
  for (int64_t v = 0; v < tokens; ++v) {
#pragma omp simd
    for (int64_t j = 0; j < kWidth; ++j) sum[j] += exponential(scale * logits[v * kWidth + j] - maximum[j]);
  }
#pragma omp simd
  for (int64_t j = 0; j < kWidth; ++j) maxima[j] = maximum[j], sums[j] = sum[j];
}

void add_tile(const float* logits, int64_t tokens, int64_t width, float scale, float* maxima, float* sums) {
  vectorized([&]() LUTHIER_INLINE_LAMBDA {
    switch (width) {
      case 16:
        return add_tile<16>(logits, tokens, scale, maxima, sums);
      case 32:
        return add_tile<32>(logits, tokens, scale, maxima, sums);
      case 48:
        return add_tile<48>(logits, tokens, scale, maxima, sums);
      default:
        return add_tile<64>(logits, tokens, scale, maxima, sums);
    }
  });
}

void forward_block(const PackedRows& packed, const Head& head, const int32_t* targets, float scale, float* log_probs,
                   float* log_sum_exp) {
  const int64_t parts = parts_of(head.vocabulary), padded = packed.padded;
  float* maxima = scratch<float>(Scratch::partial, 2 * parts * padded);
  float* sums = maxima + parts * padded;
  std::fill(maxima, sums, std::numeric_limits<float>::lowest());
  std::fill(sums, sums + parts * padded, 0.0f);
  share_vocabulary(head.vocabulary, parts, [&](int64_t part, int64_t first, int64_t last) {
    float* logits = scratch<float>(Scratch::tile, kTokens * kRows);
    for (int64_t tile = first; tile < last; ++tile) {
      for (int64_t block = 0; block < packed.blocks(); ++block) {
        const int64_t width = packed.width(block), row = block * kRows, tokens = head.tokens(tile);
        logits_tile(head, tile, packed, block, logits);
        add_tile(logits, tokens, width, scale, maxima + part * padded + row, sums + part * padded + row);
        for (int64_t j = 0; j < std::min(width, packed.rows - row); ++j) {
          const int64_t token = targets[row + j] - tile * kTokens;
          if (token >= 0 && token < tokens) log_probs[row + j] = scale * logits[token * width + j];
        }
      }
    }
  });
  for (int64_t r = 0; r < packed.rows; ++r) {
    Normaliser all;
    for (int64_t part = 0; part < parts; ++part) merge(all, {maxima[part * padded + r], sums[part * padded + r]});
    log_sum_exp[r] = log_sum_exp_of(all);
    log_probs[r] -= log_sum_exp[r];
  }
}

}  // namespace

bool packed_logprob_takes(at::ScalarType type, int64_t columns) {
  return type == at::kBFloat16 && columns % 2 == 0 && instruction_set() >= InstructionSet::avx512;
}

void packed_logprob_forward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets, double scale,
                            at::Tensor& log_probs, at::Tensor& log_sum_exp) {
  for (int64_t row = 0; row < hidden.size(0); row += kRowBlock) {
    const PackedRows packed(hidden.const_data_ptr<BFloat16>() + row * hidden.stride(0), hidden.stride(0),
                            std::min(kRowBlock, hidden.size(0) - row), hidden.size(1));
    forward_block(packed, head_of(head), targets.const_data_ptr<int32_t>() + row, static_cast<float>(scale),
                  log_probs.mutable_data_ptr<float>() + row, log_sum_exp.mutable_data_ptr<float>() + row);
  }
}

}  // namespace luthier::cpu
