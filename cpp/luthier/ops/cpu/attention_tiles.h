// What forward and backward of the tiled attention share: rows of a block, and the tiles of keys that they see.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "luthier/ops/cpu/attention_blocks.h"
#include "luthier/ops/cpu/attention_kernels.h"

namespace luthier::cpu {

constexpr int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/// Rows of operand B that make one: bf16 is multiplied in pairs.
template <class Operand>
constexpr int64_t kPair = std::is_same_v<Operand, float> ? 1 : 2;

/// Kernels for an operand.
template <class Operand>
const AttentionKernels<Operand>& kernels_for([[maybe_unused]] InstructionSet set) {
  if constexpr (std::is_same_v<Operand, float>)
    return float_kernels(set);
  else
    return bfloat16_kernels();
}

/// A tensor [rows, heads, size] with contiguous heads.
template <class T>
struct HeadRows {
  T* data;
  int64_t stride;

  explicit HeadRows(const at::Tensor& x) : data(x.data_ptr<std::remove_const_t<T>>()), stride(x.stride(0)) {}
};

/// What every block of a call has in common.
struct TileShape {
  int64_t group, size, rows, columns;  // heads per key head; head size; most rows of a block; columns of a tile

  TileShape(const AttentionPlan& plan, const Blocks& blocks)
      : group(plan.shape.heads / plan.shape.key_heads),
        size(plan.shape.head_size),
        rows(blocks.most_rows),
        // A member's columns are rounded up to 16 wherever they start, and stores are 32 wide.
        columns(round_up(blocks.most_rows + 16, 32)) {}
};

template <class From, class To>
void copy_row(const From* source, int64_t count, To* target) {
  if constexpr (std::is_same_v<From, To>)
    std::memcpy(target, source, static_cast<size_t>(count) * sizeof(To));
  else
    for (int64_t i = 0; i < count; ++i) target[i] = static_cast<To>(source[i]);
}

/// The rows of a block for one key head as [columns, size]; zeros where the block has no row.
template <class Storage, class Operand>
void gather_rows(const Blocks& blocks, const QueryBlock& block, const TileShape& shape, int64_t key_head,
                 HeadRows<const Storage> source, Operand* target) {
  const int64_t width = shape.group * shape.size;
  int64_t row = 0;
  const auto skip_to = [&](int64_t end) {
    std::fill(target + row * shape.size, target + end * shape.size, Operand(0));
    row = end;
  };
  for (int32_t m = block.member_begin; m < block.member_end; ++m) {
    const BlockMember& member = blocks.members[static_cast<size_t>(m)];
    skip_to(member.row_begin);
    for (int64_t query = member.query_begin; query < member.query_end; ++query, row += shape.group)
      copy_row(source.data + query * source.stride + key_head * width, width, target + row * shape.size);
  }
  skip_to(shape.columns);
}

/// The opposite of gather_rows.
template <class Storage, class Operand>
void scatter_rows(const Blocks& blocks, const QueryBlock& block, const TileShape& shape, int64_t key_head,
                  const Operand* source, HeadRows<Storage> target) {
  const int64_t width = shape.group * shape.size;
  for (int32_t m = block.member_begin; m < block.member_end; ++m) {
    const BlockMember& member = blocks.members[static_cast<size_t>(m)];
    int64_t row = member.row_begin;
    for (int64_t query = member.query_begin; query < member.query_end; ++query, row += shape.group)
      copy_row(source + row * shape.size, width, target.data + query * target.stride + key_head * width);
  }
}

/// Calls visit(row, query, head) for every row of a block.
template <class Visit>
void each_row(const Blocks& blocks, const QueryBlock& block, const TileShape& shape, int64_t key_head,
              const Visit& visit) {
  for (int32_t m = block.member_begin; m < block.member_end; ++m) {
    const BlockMember& member = blocks.members[static_cast<size_t>(m)];
    int64_t row = member.row_begin;
    for (int64_t query = member.query_begin; query < member.query_end; ++query)
      for (int64_t head = 0; head < shape.group; ++head, ++row) visit(row, query, key_head * shape.group + head);
  }
}

/// An operand A: `rows` rows, `stride` apart.
template <class Operand>
struct OperandRows {
  const Operand* data;
  int64_t stride;
};

/// Keys or values [begin, begin + count) of one head, followed by zero rows up to `padded`. They are read where they
/// lie if they can be, otherwise copied to `copy` [padded, size].
template <class Storage, class Operand>
OperandRows<Operand> key_rows(HeadRows<const Storage> source, int64_t begin, int64_t count, int64_t padded,
                              int64_t head, int64_t size, Operand* copy) {
  const Storage* first = source.data + begin * source.stride + head * size;
  if constexpr (std::is_same_v<Storage, Operand>)
    if (count == padded) return {first, source.stride};
  for (int64_t i = 0; i < count; ++i) copy_row(first + i * source.stride, size, copy + i * size);
  std::fill(copy + count * size, copy + padded * size, Operand(0));
  return {copy, size};
}

/// What limits the rows of a block: see ColumnMask.
struct RowLimits {
  int32_t *limit, *floor;

  void fill(const AttentionPlan& plan, const Blocks& blocks, const QueryBlock& block, const TileShape& shape) const {
    std::fill(limit, limit + shape.columns, std::numeric_limits<int32_t>::max());
    std::fill(floor, floor + shape.columns, std::numeric_limits<int32_t>::min());
    each_row(blocks, block, shape, 0, [&](int64_t row, int64_t query, int64_t) {
      limit[row] = plan.limits[static_cast<size_t>(query)];
      if (plan.shape.window > 0) floor[row] = plan.positions[static_cast<size_t>(query)] - plan.shape.window;
    });
  }
};

/// Keys [key, key + scores.keys) against the columns of a block from `column` on.
struct KeyTile {
  int32_t key = 0;
  int64_t column = 0;
  ScoreTile scores;
  int64_t padded_columns = 0;
  bool first = false;  // of all tiles that its columns meet: then it has all of them
};

/// Calls visit(KeyTile) for every tile of at most `most_keys` keys that a block sees, in a fixed order: the ancestors
/// against all rows, then each member's own keys against its rows. Rows that see nothing of a tile are left out at
/// either end.
template <class Visit>
void each_key_tile(const AttentionPlan& plan, const Blocks& blocks, const QueryBlock& block, const TileShape& shape,
                   const RowLimits& limits, int32_t most_keys, const Visit& visit) {
  const bool window = plan.shape.window > 0;
  const auto tiles_of = [&](const KeyRange& range, int64_t row_begin, int64_t row_end, bool own, bool first) {
    for (int32_t begin = range.begin; begin < range.end; begin += most_keys) {
      KeyTile tile;
      tile.key = begin;
      tile.scores.keys = std::min(most_keys, range.end - begin);
      tile.scores.padded_keys = round_up(tile.scores.keys, 16);
      tile.scores.stride = shape.columns;
      const int32_t end = begin + static_cast<int32_t>(tile.scores.keys);
      const int32_t position = range.position + (begin - range.begin);
      int64_t from = row_begin, to = row_end;
      if (own)
        while (from < to && limits.limit[from] <= begin) ++from;
      tile.first = first && begin == range.begin;
      if (own && window && !tile.first)
        while (from < to && limits.floor[to - 1] >= position + (end - begin) - 1) --to;
      if (from == to) continue;
      from -= (from - row_begin) & 1;
      tile.column = from;
      tile.scores.columns = to - from;
      tile.padded_columns = round_up(tile.scores.columns, 16);
      // Limits and floors rise along the rows of a member.
      const bool limited = own && limits.limit[from] < end;
      bool floored = false;
      if (window) floored = *std::max_element(limits.floor + from, limits.floor + to) >= position;
      if (limited) {
        tile.scores.mask.limit = limits.limit + from;
        tile.scores.mask.key = begin;
      }
      if (floored) {
        tile.scores.mask.floor = limits.floor + from;
        tile.scores.mask.position = position;
      }
      tile.scores.masked = limited || floored;
      visit(tile);
    }
  };
  for (int32_t r = block.range_begin; r < block.range_end; ++r)
    tiles_of(plan.ranges[static_cast<size_t>(r)], 0, block.rows, false, r == block.range_begin);
  for (int32_t m = block.member_begin; m < block.member_end; ++m) {
    const BlockMember& member = blocks.members[static_cast<size_t>(m)];
    tiles_of(member.own, member.row_begin, member.row_end, true, block.range_begin == block.range_end);
  }
}

}  // namespace luthier::cpu
