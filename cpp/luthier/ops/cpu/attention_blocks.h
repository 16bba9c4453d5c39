// Query tiles cut and joined into the blocks that the tiled attention works on, and blocks dealt to units of work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "luthier/ops/attention_plan.h"

namespace luthier::cpu {

/// Queries of one segment in a block. Each query has one row per head of the group: query-major, heads inside.
struct BlockMember {
  int32_t query_begin = 0, query_end = 0;
  int32_t row_begin = 0, row_end = 0;  // rows of the block; row_begin is even, so that pairs of rows stay whole
  KeyRange own;                        // own keys up to that of the last query
};

/// Consecutive queries with the same ancestors.
struct QueryBlock {
  int32_t range_begin = 0, range_end = 0;    // ancestors: [begin, end) of AttentionPlan::ranges
  int32_t member_begin = 0, member_end = 0;  // [begin, end) of Blocks::members
  int32_t rows = 0;                          // of all members
  double cost = 0;                           // rows times keys
};

struct Blocks {
  std::vector<QueryBlock> blocks;
  std::vector<BlockMember> members;
  int32_t most_rows = 0;  // of any block

  int64_t first_query(int32_t block) const {
    return members[static_cast<size_t>(blocks[static_cast<size_t>(block)].member_begin)].query_begin;
  }
};

/// Cuts tiles with more than `most_rows` rows, and joins neighbours of one segment, and of several segments with the
/// same ancestors, up to that many.
Blocks make_blocks(const AttentionPlan& plan, int32_t most_rows);

/// Keys [begin, end), which a unit accumulates from row `offset` of its buffer.
struct KeyRun {
  int32_t begin = 0, end = 0;
  int64_t offset = 0;
};

/// Part of a run. Keys that only one unit sees are finished by it; shared ones go to row `partial` of the partial sums.
struct KeyPiece {
  int32_t begin = 0, end = 0;
  int64_t offset = 0, partial = -1;
};

/// Consecutive blocks whose key gradients are summed in one buffer.
struct BackwardUnit {
  int32_t block_begin = 0, block_end = 0;
  std::vector<KeyRun> runs;  // rising
  std::vector<KeyPiece> pieces;
  double cost = 0;
};

/// Keys [begin, end) that several units see, and where their sums lie, in the order of the units.
struct SharedKeys {
  int32_t begin = 0, end = 0;
  std::vector<int64_t> partials;
};

struct BackwardUnits {
  std::vector<BackwardUnit> units;
  std::vector<SharedKeys> shared;
  std::vector<KeyRange> unseen;  // keys without a query
  int64_t most_rows = 0;         // accumulated by any unit
  int64_t partial_rows = 0;
};

/// Splits the blocks into about `count` units of equal cost, at roots where one is near.
BackwardUnits make_backward_units(const AttentionPlan& plan, const Blocks& blocks, int64_t count);

}  // namespace luthier::cpu
