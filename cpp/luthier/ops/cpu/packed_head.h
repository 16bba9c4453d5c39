// The products of the head with bf16 hidden states, shared by the forward and the backward pass of the token
// log-probabilities. They run with the vocabulary as rows, logits' = head hidden', so that the head is read where it
// lies, once, and only the few hidden states are packed. Threads share the vocabulary.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>

#include "luthier/ops/cpu/divide_up.h"
#include "luthier/ops/cpu/pack.h"
#include "luthier/ops/cpu/scratch.h"

namespace luthier::cpu {

using at::BFloat16;
using at::native::cpublas::brgemm;

constexpr int64_t kTokens = 256;  // of the vocabulary, in a tile of logits'
constexpr int64_t kRows = 64;     // of the hidden states, in a tile of logits'
constexpr int64_t kPiece = 16;    // of the vocabulary, where few rows wait for the head
constexpr int64_t kLine = 64 / sizeof(BFloat16);
constexpr int64_t kRowMultiple = 16;  // to which the last rows are padded
constexpr int64_t kRowBlock = 1024;   // rows that one pass over the head serves

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

inline int64_t parts_of(int64_t vocabulary) {
  return std::min<int64_t>(at::get_num_threads(), divide_up(vocabulary, kTokens));
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
inline void logits_tile(const Head& head, int64_t tile, const PackedRows& packed, int64_t block, float* logits) {
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

inline Head head_of(const at::Tensor& head) {
  return {head.const_data_ptr<BFloat16>(), head.size(0), head.size(1), head.stride(0)};
}

}  // namespace luthier::cpu
