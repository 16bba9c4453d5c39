// The products of the head run with the vocabulary as rows, logits' = head hidden', so that the head is read where it
// lies, once, and only the few hidden states are packed. Threads share the vocabulary.
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>

#include "luthier/ops/cpu/pack.h"
#include "luthier/ops/cpu/scratch.h"
#include "luthier/ops/cpu/softmax_tile.h"
#include "luthier/ops/cpu/token_logprob.h"
#include "luthier/ops/cpu/types.h"
#include "luthier/ops/cpu/vectorize.h"

namespace luthier::cpu {
namespace {

using at::BFloat16;
using at::native::cpublas::brgemm;

constexpr int64_t kTokens = 256;  // of the vocabulary, in a tile of logits'
constexpr int64_t kRows = 64;     // of the hidden states, in a tile of logits'
constexpr int64_t kPiece = 16;    // of the vocabulary, where few rows wait for the head
constexpr int64_t kLine = 64 / sizeof(BFloat16);
constexpr int64_t kRowMultiple = 16;  // to which the last rows are padded
constexpr int64_t kRowBlock = 1024;   // rows that one pass over the head serves

int64_t divide_up(int64_t value, int64_t by) { return (value + by - 1) / by; }

/// At most kRowBlock hidden states in blocks of kRows, each packed as the second operand of head hidden'.
struct PackedRows {
  int64_t rows, padded, columns;
  BFloat16* data;

  PackedRows(const BFloat16* hidden, int64_t stride, int64_t row_count, int64_t column_count)
      : rows(row_count),
        padded(divide_up(row_count, kRowMultiple) * kRowMultiple),
        columns(column_count),
        data(scratch<BFloat16>(Scratch::packed_b, padded * column_count)) {
    at::parallel_for(0, blocks(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        pack_columns(hidden + b * kRows * stride, stride, std::min(kRows, rows - b * kRows), columns, block(b),
                     width(b));
      }
    });
  }
  int64_t blocks() const { return divide_up(padded, kRows); }
  int64_t width(int64_t b) const { return std::min(kRows, padded - b * kRows); }
  BFloat16* block(int64_t b) const { return data + b * kRows * columns; }
};

/// Calls body(thread's part, first tile, last tile) on every thread: part p of `parts` gets its share of the tiles.
template <class Body>
void share_vocabulary(int64_t vocabulary, int64_t parts, const Body& body) {
  const int64_t tiles = divide_up(vocabulary, kTokens);
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) body(part, part * tiles / parts, (part + 1) * tiles / parts);
    at::native::cpublas::brgemm_release();
  });
}

int64_t parts_of(int64_t vocabulary) {
  return std::min<int64_t>(at::get_num_threads(), divide_up(vocabulary, kTokens));
}

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

/// The head as the products read it.
struct Head {
  const BFloat16* data;
  int64_t vocabulary, columns, stride;
  int64_t tokens(int64_t tile) const { return std::min(kTokens, vocabulary - tile * kTokens); }
  const BFloat16* tile(int64_t index) const { return data + index * kTokens * stride; }
};

/// logits[v][j] of a tile of the vocabulary and a block of rows. Few rows leave the time to the reading of the head,
/// down the columns of a tile, which the hardware does not foresee: then the tile is cut, and the next piece asked for.
void logits_tile(const Head& head, int64_t tile, const PackedRows& packed, int64_t block, float* logits) {
  const int64_t width = packed.width(block), tokens = head.tokens(tile);
  const int64_t piece = packed.padded > kRowMultiple ? kTokens : kPiece;
  for (int64_t v = 0; v < tokens; v += piece) {
    const BFloat16* rows = head.tile(tile) + v * head.stride;
    const int64_t count = std::min(piece, tokens - v);
    for (int64_t next = piece; next < 2 * piece && v + next < tokens && piece == kPiece; ++next) {
      for (int64_t k = 0; k < head.columns; k += kLine) __builtin_prefetch(rows + next * head.stride + k);
    }
    brgemm(count, width, head.columns, head.stride, width, width, /*add_C=*/false, rows, packed.block(block),
           logits + v * width);
  }
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

/// What backward reads for at most kRowBlock rows, padded with zeros.
struct RowGradients {
  const BFloat16* hidden;  // not padded, not packed
  int64_t hidden_stride;
  const int32_t* targets;
  const float* log_sum_exp;
  const float* factors;  // d_log_probs * scale
};

/// Adds a thread's tiles to its part of d_hidden [padded, columns] and to the rows of d_head that are its own.
void backward_part(const PackedRows& packed, const BFloat16* hidden_pairs, const Head& head, const RowGradients& given,
                   float scale, int64_t first, int64_t last, float* d_hidden, float* d_head, int64_t d_head_stride) {
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
          if (d_head == nullptr) return;
          float* d_row = d_head + int64_t{given.targets[row + j]} * d_head_stride;
          add_scaled(given.hidden + (row + j) * given.hidden_stride, rest, columns, d_row);
        });
      }
      transpose(out, padded, tokens, width, depth, turned, kTokens);
      brgemm(width, columns, depth, kTokens, columns, columns, /*add_C=*/true, turned, head_pairs,
             d_hidden + row * columns);
    }
    if (d_head == nullptr) continue;
    brgemm(tokens, columns, padded, padded, columns, d_head_stride, /*add_C=*/true, gradient, hidden_pairs,
           d_head + tile * kTokens * d_head_stride);
  }
}

Head head_of(const at::Tensor& head) {
  return {head.const_data_ptr<BFloat16>(), head.size(0), head.size(1), head.stride(0)};
}

}  // namespace

bool packed_logprob_takes(const at::Tensor& hidden) {
  return hidden.scalar_type() == at::kBFloat16 && hidden.size(1) % 2 == 0 &&
         instruction_set() >= InstructionSet::avx512;
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

void packed_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets, double scale,
                             const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs, at::Tensor& d_hidden,
                             at::Tensor d_head) {
  const int64_t columns = hidden.size(1), parts = parts_of(head.size(0));
  const float *normal = log_sum_exp.const_data_ptr<float>(), *d_log_prob = d_log_probs.const_data_ptr<float>();
  float log_sum_exps[kRowBlock], factors[kRowBlock];
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
    float* d_head_rows = d_head.defined() ? d_head.mutable_data_ptr<float>() : nullptr;
    BFloat16* hidden_pairs = nullptr;
    if (d_head_rows != nullptr) {
      hidden_pairs = scratch<BFloat16>(Scratch::packed_rows, part_size);
      pack_rows(source, hidden.stride(0), rows, columns, packed.padded, hidden_pairs, columns);
    }
    share_vocabulary(head.size(0), parts, [&](int64_t part, int64_t first, int64_t last) {
      float* own = partial + part * part_size;
      std::fill(own, own + part_size, 0.0f);
      backward_part(packed, hidden_pairs, head_of(head), given, static_cast<float>(scale), first, last, own,
                    d_head_rows, d_head.defined() ? d_head.stride(0) : 0);
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

}  // namespace luthier::cpu
