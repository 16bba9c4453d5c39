// What the tiled attention does to a tile between its products, for one type of operand and one instruction set.
//
// Tiles of scores are transposed: a row per key, a column per query row, so that the softmax runs down the columns and
// a vector holds 16 queries. An operand B of a product holds its rows in pairs when it is bf16, [rows / 2][columns][2]
// ("VNNI"), and plainly when it is fp32.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "luthier/ops/instruction_set.h"

namespace luthier::cpu {

/// A key j of a tile is visible in column c if key + j < limit[c] and position + j > floor[c]; a null pointer sets no
/// condition.
struct ColumnMask {
  const int32_t* limit = nullptr;
  int32_t key = 0;
  const int32_t* floor = nullptr;
  int32_t position = 0;
};

/// A tile of scores: `keys` rows, followed by zero rows up to `padded_keys`, and `columns` columns. Rows of
/// probabilities are filled with zeros up to the next multiple of 16 (fp32) or 32 (bf16) columns.
struct ScoreTile {
  int64_t keys = 0, padded_keys = 0, columns = 0, stride = 0;
  ColumnMask mask;
  bool masked = false;
};

/// At most kMostFewColumns query rows, without gaps, against keys and values that they all see.
template <class Operand>
struct FewColumns {
  const Operand* queries;
  int64_t columns, size;
  const Operand *keys, *values;
  int64_t key_count, key_stride, value_stride;
};
constexpr int64_t kMostFewColumns = 8;

/// Operand is float or c10::BFloat16.
template <class Operand>
struct AttentionKernels {
  /// B operand of the transposed source: source [rows, columns], columns a multiple of the pair; target rows are
  /// `stride` columns apart and are written, with zeros, up to the next multiple of 16 columns.
  void (*transpose_to_pairs)(const Operand* source, int64_t rows, int64_t columns, int64_t source_stride,
                             Operand* target, int64_t stride);
  /// target [columns, stride] = source [rows, columns] transposed; zeros up to the next multiple of 16 columns.
  void (*transpose)(const Operand* source, int64_t rows, int64_t columns, int64_t source_stride, Operand* target,
                    int64_t stride);
  /// B operand of a source [rows, columns] of an even number of rows without gaps.
  void (*pair_rows)(const Operand* source, int64_t rows, int64_t columns, Operand* target);
  /// target [columns, size] = source [size, stride] transposed, column c times factor[c].
  void (*transpose_from)(const float* source, int64_t size, int64_t columns, int64_t stride, const float* factor,
                         Operand* target);
  /// One step of the online softmax. Scores times `scale` are in units of log 2. maximum and sum [columns] are carried
  /// on; probabilities get exp2(score - maximum) as B operand of rows `stride` columns apart. Returns true if a maximum
  /// has grown: then what was accumulated must be multiplied by correction[c].
  bool (*softmax)(const ScoreTile& tile, const float* scores, float scale, float* maximum, float* sum,
                  float* correction, Operand* probabilities);
  /// p = exp2(scale score - log_sum_exp[c]) and d_s = p (d_p - delta[c]) (1 - (inverse_cap score)^2), in the type of
  /// the operands: p and d_s as A operands (rows `stride` columns apart), d_s as B operand too unless it is fp32.
  void (*backward)(const ScoreTile& tile, const float* scores, const float* d_p, float scale, float inverse_cap,
                   const float* log_sum_exp, const float* delta, Operand* p, Operand* d_s, Operand* d_s_pairs);
  /// x [rows, columns], rows `stride` apart, times factor[c].
  void (*scale_columns)(float* x, int64_t rows, int64_t columns, int64_t stride, const float* factor);
  /// Attention of a few query rows [columns, size] to all of `keys` keys, at most 64: carries maximum and sum on as
  /// softmax does, and scales and adds to column c of out [size, stride] (sets it when `first`). Null if there is none.
  void (*few_columns)(const FewColumns<Operand>& tile, float scale, float* maximum, float* sum, float* out,
                      int64_t stride, bool first);
  /// target[r] = the dot product of row r of a and row r of b, both [rows, columns] without gaps.
  void (*dot_rows)(const Operand* a, const Operand* b, int64_t rows, int64_t columns, float* target);
  /// target = source times factor, rounded.
  void (*round)(const float* source, int64_t count, float factor, Operand* target);
  /// scores = cap tanh(scale scores / cap), in place.
  void (*cap)(const ScoreTile& tile, float* scores, float scale, float cap);
};

/// fp32 on AVX2 and wider.
const AttentionKernels<float>& float_kernels(InstructionSet set);

/// AttentionKernels::few_columns on AVX512-BF16.
void few_columns_bfloat16(const FewColumns<c10::BFloat16>& tile, float scale, float* maximum, float* sum, float* out,
                          int64_t stride, bool first);

/// bf16 on AVX512-BF16 and AMX.
const AttentionKernels<c10::BFloat16>& bfloat16_kernels();

}  // namespace luthier::cpu
