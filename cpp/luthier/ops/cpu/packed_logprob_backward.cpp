#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "luthier/ops/cpu/arithmetic.h"
#include "luthier/ops/cpu/divide_up.h"
#include "luthier/ops/cpu/packed_head.h"
#include "luthier/ops/cpu/token_logprob.h"
#include "luthier/ops/cpu/types.h"

namespace luthier::cpu {
namespace {

/// d[v][j] = -factor[j] exp(scale logits[v][j] - log_sum_exp[j]), rounded to bf16.
LUTHIER_INLINE void gradient_tile(const float* logits, int64_t tokens, int64_t width, float scale,
                                  const float* log_sum_exp, const float* factor, BFloat16* out, int64_t out_stride) {
  for (int64_t v = 0; v < tokens; ++v) {
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) {
      store(out + v * out_stride + j, -factor[j] * exponential(scale * logits[v * width + j] - log_sum_exp[j]));
    }
  }
}

LUTHIER_INLINE void add_row(const float* source, int64_t count, float* target) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) target[i] += source[i];
}

LUTHIER_INLINE void add_scaled(const BFloat16* source, float scale, int64_t count, float* target) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) target[i] += load(source + i) * scale;
}

LUTHIER_INLINE void round_row(const float* source, int64_t count, BFloat16* target) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) store(target + i, source[i]);
}

/// What backward reads for at most kRowBlock rows, padded with zeros.
struct RowGradients {
  const BFloat16* hidden;  // not padded, not packed
  int64_t hidden_stride;
  const int32_t* targets;
  const float* log_sum_exp;
  const float* factors;  // d_log_probs * scale
};

/// The gradient of the head's rows [first, end); no data: the head is frozen.
struct HeadGradient {
  float* data = nullptr;
  int64_t first = 0, end = 0, stride = 0;
  bool holds(int64_t token) const { return token >= first && token < end; }
  float* row(int64_t token) const { return data + (token - first) * stride; }
};

/// Adds a thread's tiles to its part of d_hidden [padded, columns] and to the rows of d_head that are its own.
void backward_part(const PackedRows& packed, const BFloat16* hidden_pairs, const Head& head, const RowGradients& given,
                   float scale, int64_t first, int64_t last, float* d_hidden, const HeadGradient& d_head) {
  const int64_t padded = packed.padded, columns = packed.columns;
  float* logits = scratch<float>(Scratch::tile, kTokens * kRows);
  BFloat16* head_pairs = scratch<BFloat16>(Scratch::packed_a, kTokens * columns);
  BFloat16* gradient = scratch<BFloat16>(Scratch::tile_bf16, kTokens * (padded + kRows));
  BFloat16* turned = gradient + kTokens * padded;
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t tokens = head.tokens(tile), depth = divide_up(tokens, kRowMultiple) * kRowMultiple;
    pack_rows(head.tile(tile), head.stride, tokens, columns, depth, head_pairs, columns);
    for (int64_t block = 0; block < packed.blocks(); ++block) {
      const int64_t width = packed.width(block), row = block * kRows;
      logits_tile(head, tile, packed, block, logits);
      BFloat16* out = gradient + row;
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        gradient_tile(logits, tokens, width, scale, given.log_sum_exp + row, given.factors + row, out, padded);
      });
      for (int64_t j = 0; j < std::min(width, packed.rows - row); ++j) {
        const int64_t token = given.targets[row + j] - tile * kTokens;
        if (token < 0 || token >= tokens) continue;
        const float probability = std::exp(scale * logits[token * width + j] - given.log_sum_exp[row + j]);
        const float exact = given.factors[row + j] * (1 - probability);
        BFloat16* rounded = out + token * padded + j;
        store(rounded, exact);
        // The target's share is the largest: what rounding took from it is put back in fp32.
        const float rest = exact - load(rounded);
        vectorized([&]() LUTHIER_INLINE_LAMBDA {
          add_scaled(head.tile(tile) + token * head.stride, rest, columns, d_hidden + (row + j) * columns);
          if (!d_head.holds(given.targets[row + j])) return;
          float* d_row = d_head.row(given.targets[row + j]);
          add_scaled(given.hidden + (row + j) * given.hidden_stride, rest, columns, d_row);
        });
      }
      transpose(out, padded, tokens, width, depth, turned, kTokens);
      brgemm(width, columns, depth, kTokens, columns, columns, /*add_C=*/true, turned, head_pairs,
             d_hidden + row * columns);
    }
    const int64_t begin = std::max(tile * kTokens, d_head.first), end = std::min(tile * kTokens + tokens, d_head.end);
    if (begin >= end) continue;
    brgemm(end - begin, columns, padded, padded, columns, d_head.stride, /*add_C=*/true,
           gradient + (begin - tile * kTokens) * padded, hidden_pairs, d_head.row(begin));
  }
}

}  // namespace

void packed_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets, double scale,
                             const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs, at::Tensor& d_hidden,
                             at::Tensor d_head, int64_t first_trained) {
  const int64_t columns = hidden.size(1), parts = parts_of(head.size(0));
  const float *normal = log_sum_exp.const_data_ptr<float>(), *d_log_prob = d_log_probs.const_data_ptr<float>();
  float log_sum_exps[kRowBlock], factors[kRowBlock];
  HeadGradient head_gradient;
  if (d_head.defined()) {
    head_gradient = {d_head.mutable_data_ptr<float>(), first_trained, first_trained + d_head.size(0), d_head.stride(0)};
  }
  for (int64_t row = 0; row < hidden.size(0); row += kRowBlock) {
    const int64_t rows = std::min(kRowBlock, hidden.size(0) - row);
    const BFloat16* source = hidden.const_data_ptr<BFloat16>() + row * hidden.stride(0);
    const PackedRows packed(source, hidden.stride(0), rows, columns);
    for (int64_t r = 0; r < packed.padded; ++r) {
      log_sum_exps[r] = r < rows ? normal[row + r] : 0;
      factors[r] = r < rows ? d_log_prob[row + r] * static_cast<float>(scale) : 0;
    }
    const RowGradients given{source, hidden.stride(0), targets.const_data_ptr<int32_t>() + row, log_sum_exps, factors};
    const int64_t part_size = packed.padded * columns;
    float* partial = scratch<float>(Scratch::partial, parts * part_size);
    BFloat16* hidden_pairs = nullptr;
    if (d_head.defined()) {
      hidden_pairs = scratch<BFloat16>(Scratch::packed_rows, part_size);
      pack_rows(source, hidden.stride(0), rows, columns, packed.padded, hidden_pairs, columns);
    }
    share_vocabulary(head.size(0), parts, [&](int64_t part, int64_t first, int64_t last) {
      float* own = partial + part * part_size;
      std::fill(own, own + part_size, 0.0f);
      backward_part(packed, hidden_pairs, head_of(head), given, static_cast<float>(scale), first, last, own,
                    head_gradient);
    });
    BFloat16* target = d_hidden.mutable_data_ptr<BFloat16>() + row * d_hidden.stride(0);
    at::parallel_for(0, rows, row_grain(columns * parts), [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t r = begin; r < end; ++r) {
          float* sum = partial + r * columns;
          for (int64_t part = 1; part < parts; ++part) add_row(sum + part * part_size, columns, sum);
          round_row(sum, columns, target + r * d_hidden.stride(0));
        }
      });
    });
  }
}

int64_t packed_logprob_scratch_bytes(int64_t rows, int64_t columns, int64_t vocabulary, bool head_trained) {
  const int64_t padded = divide_up(std::min(kRowBlock, rows), kRowMultiple) * kRowMultiple;
  const int64_t bf16 = sizeof(BFloat16), fp32 = sizeof(float);
  const int64_t packed = padded * columns * bf16 * (head_trained ? 2 : 1);
  const int64_t part = padded * columns * fp32;  // of d_hidden
  const int64_t tiles = kTokens * kRows * fp32 + kTokens * columns * bf16 + kTokens * (padded + kRows) * bf16;
  return packed + parts_of(vocabulary) * (part + tiles);
}

}  // namespace luthier::cpu
