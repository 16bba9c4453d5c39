#include "luthier/ops/cpu/attention_blocks.h"

#include <algorithm>
#include <cmath>

namespace luthier::cpu {
namespace {

int32_t even(int32_t rows) { return rows + (rows & 1); }

class BlockMaker {
 public:
  BlockMaker(const AttentionPlan& plan, int32_t most_rows) : plan_(plan), most_rows_(most_rows) {
    group_ = static_cast<int32_t>(plan.shape.heads / plan.shape.key_heads);
  }

  Blocks make() {
    const int32_t step = std::max(1, most_rows_ / group_);
    for (const QueryTile& tile : plan_.tiles)
      for (int32_t begin = tile.query_begin; begin < tile.query_end; begin += step)
        add(tile, begin, std::min(begin + step, tile.query_end));
    return std::move(result_);
  }

 private:
  void add(const QueryTile& tile, int32_t begin, int32_t end) {
    const int32_t rows = (end - begin) * group_;
    std::vector<QueryBlock>& blocks = result_.blocks;
    std::vector<BlockMember>& members = result_.members;
    const bool alike = !blocks.empty() && blocks.back().range_begin == tile.range_begin &&
                       blocks.back().range_end == tile.range_end && even(blocks.back().rows) + rows <= most_rows_;
    // The window may have cut the segment's first rows from one tile and not from the one before it.
    const bool goes_on = alike &&
                         members.back().own.begin - members.back().own.position == tile.own.begin - tile.own.position &&
                         members.back().own.end > tile.own.begin && tile.own.end > members.back().own.end;
    if (!alike || (!goes_on && tile.range_begin == tile.range_end)) {
      QueryBlock block;
      block.range_begin = tile.range_begin;
      block.range_end = tile.range_end;
      block.member_begin = block.member_end = static_cast<int32_t>(members.size());
      blocks.push_back(block);
    }
    QueryBlock& block = blocks.back();
    const int32_t own_end = plan_.limits[static_cast<size_t>(end) - 1];
    if (goes_on) {
      members.back().query_end = end;
      members.back().row_end += rows;
      members.back().own.end = own_end;
    } else {
      BlockMember member;
      member.query_begin = begin;
      member.query_end = end;
      member.row_begin = even(block.rows);
      member.row_end = member.row_begin + rows;
      member.own = tile.own;
      member.own.end = own_end;
      members.push_back(member);
      ++block.member_end;
    }
    block.rows = members.back().row_end;
    block.cost += static_cast<double>(rows) * (own_end - tile.own.begin);
    for (int32_t r = block.range_begin; r < block.range_end; ++r) {
      const KeyRange& range = plan_.ranges[static_cast<size_t>(r)];
      block.cost += static_cast<double>(rows) * (range.end - range.begin);
    }
    result_.most_rows = std::max(result_.most_rows, block.rows);
  }

  const AttentionPlan& plan_;
  int32_t most_rows_, group_ = 1;
  Blocks result_;
};

/// The blocks at which units end, by equal cost. A block that starts a root is preferred to one near it that does not.
std::vector<int32_t> unit_ends(const Blocks& blocks, int64_t count) {
  double total = 0;
  for (const QueryBlock& block : blocks.blocks) total += block.cost;
  const double share = total / static_cast<double>(count);
  const auto size = static_cast<int32_t>(blocks.blocks.size());
  const auto starts_root = [&](int32_t i) {
    if (i == size) return true;
    const QueryBlock& block = blocks.blocks[static_cast<size_t>(i)];
    const BlockMember& member = blocks.members[static_cast<size_t>(block.member_begin)];
    const BlockMember& before = blocks.members[static_cast<size_t>(block.member_begin) - 1];
    return block.range_begin == block.range_end && member.own.begin != before.own.begin;
  };
  std::vector<int32_t> ends;
  double sum = 0, target = share, best = 0;
  int32_t candidate = -1;
  for (int32_t i = 1; i <= size; ++i) {
    sum += blocks.blocks[static_cast<size_t>(i) - 1].cost;
    const double distance = std::abs(sum - target) - (starts_root(i) ? 0.4 * share : 0);
    if (candidate < 0 || distance < best) {
      candidate = i;
      best = distance;
    }
    if (sum >= target + 0.4 * share || i == size) {
      if (ends.empty() || candidate > ends.back()) ends.push_back(candidate);
      while (target <= sum - 0.4 * share) target += share;
      candidate = -1;
    }
  }
  if (size > 0 && ends.back() != size) ends.push_back(size);
  return ends;
}

/// The keys that a run of blocks sees, as disjoint rising runs.
std::vector<KeyRun> runs_of(const AttentionPlan& plan, const Blocks& blocks, int32_t begin, int32_t end) {
  std::vector<KeyRun> runs;
  for (int32_t b = begin; b < end; ++b) {
    const QueryBlock& block = blocks.blocks[static_cast<size_t>(b)];
    const QueryBlock& before = blocks.blocks[static_cast<size_t>(b == begin ? b : b - 1)];
    if (b == begin || block.range_begin != before.range_begin || block.range_end != before.range_end) {
      for (int32_t r = block.range_begin; r < block.range_end; ++r) {
        const KeyRange& range = plan.ranges[static_cast<size_t>(r)];
        runs.push_back({range.begin, range.end, 0});
      }
    }
    for (int32_t m = block.member_begin; m < block.member_end; ++m) {
      const KeyRange& own = blocks.members[static_cast<size_t>(m)].own;
      runs.push_back({own.begin, own.end, 0});
    }
  }
  std::sort(runs.begin(), runs.end(), [](const KeyRun& a, const KeyRun& b) { return a.begin < b.begin; });
  std::vector<KeyRun> merged;
  for (const KeyRun& run : runs) {
    if (run.begin == run.end) continue;
    if (merged.empty() || run.begin > merged.back().end)
      merged.push_back(run);
    else
      merged.back().end = std::max(merged.back().end, run.end);
  }
  int64_t offset = 0;
  for (KeyRun& run : merged) {
    run.offset = offset;
    offset += run.end - run.begin;
  }
  return merged;
}

/// Cuts the runs of all units at each other's ends and finds which pieces are shared.
void find_shared(int64_t keys, BackwardUnits& result) {
  std::vector<int32_t> cuts = {0, static_cast<int32_t>(keys)};
  for (const BackwardUnit& unit : result.units) {
    for (const KeyRun& run : unit.runs) {
      cuts.push_back(run.begin);
      cuts.push_back(run.end);
    }
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  std::vector<int32_t> seen(cuts.size(), 0);
  const auto each_piece = [&](const KeyRun& run, const auto& visit) {
    auto cut = static_cast<size_t>(std::lower_bound(cuts.begin(), cuts.end(), run.begin) - cuts.begin());
    for (; cuts[cut] < run.end; ++cut) visit(cut);
  };
  for (const BackwardUnit& unit : result.units)
    for (const KeyRun& run : unit.runs) each_piece(run, [&](size_t cut) { ++seen[cut]; });

  std::vector<int64_t> shared(cuts.size(), -1);
  for (size_t cut = 0; cut + 1 < cuts.size(); ++cut) {
    if (seen[cut] == 0) result.unseen.push_back({cuts[cut], cuts[cut + 1], 0});
    if (seen[cut] < 2) continue;
    shared[cut] = static_cast<int64_t>(result.shared.size());
    result.shared.push_back({cuts[cut], cuts[cut + 1], {}});
  }
  for (BackwardUnit& unit : result.units) {
    for (const KeyRun& run : unit.runs) {
      each_piece(run, [&](size_t cut) {
        KeyPiece piece{cuts[cut], cuts[cut + 1], run.offset + (cuts[cut] - run.begin), -1};
        if (shared[cut] >= 0) {
          piece.partial = result.partial_rows;
          result.partial_rows += piece.end - piece.begin;
          result.shared[static_cast<size_t>(shared[cut])].partials.push_back(piece.partial);
        }
        unit.pieces.push_back(piece);
      });
    }
  }
}

}  // namespace

Blocks make_blocks(const AttentionPlan& plan, int32_t most_rows) { return BlockMaker(plan, most_rows).make(); }

BackwardUnits make_backward_units(const AttentionPlan& plan, const Blocks& blocks, int64_t count) {
  BackwardUnits result;
  int32_t begin = 0;
  for (const int32_t end : unit_ends(blocks, count)) {
    BackwardUnit unit;
    unit.block_begin = begin;
    unit.block_end = end;
    unit.runs = runs_of(plan, blocks, begin, end);
    for (int32_t b = begin; b < end; ++b) unit.cost += blocks.blocks[static_cast<size_t>(b)].cost;
    if (!unit.runs.empty()) {
      const KeyRun& last = unit.runs.back();
      result.most_rows = std::max(result.most_rows, last.offset + (last.end - last.begin));
    }
    result.units.push_back(std::move(unit));
    begin = end;
  }
  find_shared(plan.keys, result);
  return result;
}

}  // namespace luthier::cpu
