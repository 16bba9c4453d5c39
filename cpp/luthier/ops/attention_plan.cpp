#include "luthier/ops/attention_plan.h"

#include <algorithm>

#include "luthier/base/error.h"

namespace luthier {
namespace {

void check_shape(const AttentionShape& shape) {
  LUTHIER_CHECK(shape.heads > 0 && shape.key_heads > 0 && shape.head_size > 0 && shape.heads % shape.key_heads == 0,
                "[plan_attention] ", shape.heads, " heads of ", shape.head_size, " over ", shape.key_heads,
                " key heads: the heads must be a positive multiple of the key heads");
  LUTHIER_CHECK(shape.window >= 0 && shape.soft_cap >= 0, "[plan_attention] window ", shape.window, " and soft cap ",
                shape.soft_cap, " must not be negative");
}

void check_range(const KeyRange& range, int64_t keys, size_t span) {
  LUTHIER_CHECK(0 <= range.begin && range.begin <= range.end && range.end <= keys && range.position >= 0,
                "[plan_attention] span ", span, ": key range [", range.begin, ", ", range.end, ") at position ",
                range.position, " does not lie within ", keys, " keys");
}

void check_span(const AttentionSpan& span, int64_t queries, int64_t keys, size_t index) {
  LUTHIER_CHECK(span.query_begin == queries && span.query_end >= span.query_begin, "[plan_attention] span ", index,
                ": queries [", span.query_begin, ", ", span.query_end, ") do not go on from ", queries);
  int32_t position = 0;
  for (const KeyRange& range : span.ancestors) {
    check_range(range, keys, index);
    LUTHIER_CHECK(range.position >= position, "[plan_attention] span ", index, ": ancestor at position ",
                  range.position, " overlaps the one before it, which ends at ", position);
    position = range.position + (range.end - range.begin);
  }
  check_range(span.own, keys, index);
  LUTHIER_CHECK(span.own.position >= position, "[plan_attention] span ", index, ": own rows at position ",
                span.own.position, " overlap an ancestor that ends at ", position);

  const auto count = static_cast<size_t>(span.query_end - span.query_begin);
  if (span.rows.empty()) {
    LUTHIER_CHECK(count <= static_cast<size_t>(span.own.end - span.own.begin), "[plan_attention] span ", index, ": ",
                  count, " queries but ", span.own.end - span.own.begin, " own rows");
    return;
  }
  LUTHIER_CHECK(span.rows.size() == count, "[plan_attention] span ", index, ": ", span.rows.size(), " rows for ", count,
                " queries");
  int32_t previous = span.own.begin - 1;
  for (const int32_t row : span.rows) {
    LUTHIER_CHECK(row > previous && row < span.own.end, "[plan_attention] span ", index, ": row ", row,
                  " does not rise within [", span.own.begin, ", ", span.own.end, ")");
    previous = row;
  }
}

/// The part of a range at positions of `first` and later.
KeyRange from_position(KeyRange range, int32_t first) {
  const int32_t hidden = std::clamp(first - range.position, 0, range.end - range.begin);
  range.begin += hidden;
  range.position += hidden;
  return range;
}

bool same(const KeyRange& a, const KeyRange& b) {
  return a.begin == b.begin && a.end == b.end && a.position == b.position;
}

/// Gives the tile its ancestors. Neighbours with equal ancestors share one list, so that they can be met together.
void add_ranges(const std::vector<KeyRange>& ancestors, AttentionPlan& plan, QueryTile& tile) {
  if (!plan.tiles.empty()) {
    const QueryTile& before = plan.tiles.back();
    if (std::equal(ancestors.begin(), ancestors.end(), plan.ranges.begin() + before.range_begin,
                   plan.ranges.begin() + before.range_end, same)) {
      tile.range_begin = before.range_begin;
      tile.range_end = before.range_end;
      return;
    }
  }
  tile.range_begin = static_cast<int32_t>(plan.ranges.size());
  plan.ranges.insert(plan.ranges.end(), ancestors.begin(), ancestors.end());
  tile.range_end = static_cast<int32_t>(plan.ranges.size());
}

void add_tiles(const AttentionSpan& span, AttentionPlan& plan) {
  const int32_t count = span.query_end - span.query_begin;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t row = span.rows.empty() ? span.own.end - count + i : span.rows[static_cast<size_t>(i)];
    plan.limits.push_back(row + 1);
    plan.positions.push_back(span.own.position + (row - span.own.begin));
  }
  std::vector<KeyRange> ancestors;
  for (int32_t begin = span.query_begin; begin < span.query_end; begin += AttentionPlan::kQueryTile) {
    QueryTile tile;
    tile.query_begin = begin;
    tile.query_end = std::min(begin + AttentionPlan::kQueryTile, span.query_end);
    const int32_t window = plan.shape.window;
    const int32_t first = window > 0 ? plan.positions[static_cast<size_t>(begin)] - window + 1 : 0;
    ancestors.clear();
    for (const KeyRange& range : span.ancestors) {
      const KeyRange seen = from_position(range, first);
      if (seen.begin < seen.end) ancestors.push_back(seen);
    }
    add_ranges(ancestors, plan, tile);
    tile.own = from_position(span.own, first);
    tile.own.end = plan.limits[static_cast<size_t>(tile.query_end) - 1];
    plan.tiles.push_back(tile);
  }
}

}  // namespace

AttentionPlan plan_attention(const std::vector<AttentionSpan>& spans, const AttentionShape& shape, int64_t keys) {
  check_shape(shape);
  AttentionPlan plan;
  plan.shape = shape;
  plan.keys = keys;
  for (size_t i = 0; i < spans.size(); ++i) {
    check_span(spans[i], plan.queries, keys, i);
    add_tiles(spans[i], plan);
    plan.queries = spans[i].query_end;
  }
  return plan;
}

int64_t attention_pairs(const AttentionPlan& plan) {
  int64_t pairs = 0;
  for (const QueryTile& tile : plan.tiles) {
    for (auto query = static_cast<size_t>(tile.query_begin); query < static_cast<size_t>(tile.query_end); ++query) {
      const int32_t first = plan.shape.window > 0 ? plan.positions[query] - plan.shape.window + 1 : 0;
      KeyRange own = tile.own;
      own.end = plan.limits[query];
      own = from_position(own, first);
      pairs += own.end - own.begin;
      for (int32_t i = tile.range_begin; i < tile.range_end; ++i) {
        const KeyRange seen = from_position(plan.ranges[static_cast<size_t>(i)], first);
        pairs += seen.end - seen.begin;
      }
    }
  }
  return pairs;
}

}  // namespace luthier
