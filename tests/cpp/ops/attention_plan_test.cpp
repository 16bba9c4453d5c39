#include "luthier/ops/attention_plan.h"

#include <gtest/gtest.h>

#include <functional>

#include "luthier/base/error.h"

namespace luthier {
namespace {

const AttentionShape kShape{3, 1, 8, 0.5, 0, 0};

/// A root of 10 rows and two leaves of 100 and 3.
std::vector<AttentionSpan> forest() {
  return {{0, 10, {}, {0, 10, 0}, {}},
          {10, 110, {{0, 10, 0}}, {10, 110, 10}, {}},
          {110, 113, {{0, 10, 0}}, {110, 113, 10}, {}}};
}

TEST(AttentionPlan, tiles_follow_the_spans_and_end_at_their_last_query) {
  const AttentionPlan plan = plan_attention(forest(), kShape, 113);
  ASSERT_EQ(plan.tiles.size(), 4u);
  EXPECT_EQ(plan.queries, 113);
  EXPECT_EQ(plan.tiles[1].query_begin, 10);
  EXPECT_EQ(plan.tiles[1].query_end, 74);
  EXPECT_EQ(plan.tiles[1].own.end, 74);
  EXPECT_EQ(plan.tiles[2].own.begin, 10);
  EXPECT_EQ(plan.tiles[2].own.end, 110);
  EXPECT_EQ(plan.limits[112], 113);
  EXPECT_EQ(plan.positions[112], 12);
}

TEST(AttentionPlan, neighbours_with_the_same_ancestors_share_one_list) {
  const AttentionPlan plan = plan_attention(forest(), kShape, 113);
  EXPECT_EQ(plan.ranges.size(), 1u);
  EXPECT_EQ(plan.tiles[0].range_begin, plan.tiles[0].range_end);
  EXPECT_EQ(plan.tiles[1].range_begin, plan.tiles[3].range_begin);
}

TEST(AttentionPlan, a_window_cuts_what_no_query_of_a_tile_sees) {
  AttentionShape shape = kShape;
  shape.window = 4;
  const AttentionPlan plan = plan_attention(forest(), shape, 113);
  ASSERT_EQ(plan.ranges.size(), 2u);  // the second tile of the long leaf sees no ancestor
  EXPECT_EQ(plan.ranges[0].begin, 7);
  EXPECT_EQ(plan.ranges[0].position, 7);
  EXPECT_EQ(plan.tiles[2].range_begin, plan.tiles[2].range_end);
  EXPECT_EQ(plan.tiles[2].own.begin, 71);
  EXPECT_EQ(plan.tiles[2].own.position, 71);
}

TEST(AttentionPlan, chosen_rows_set_limits_and_positions) {
  const AttentionPlan plan = plan_attention({{0, 2, {{0, 10, 0}}, {10, 30, 10}, {12, 25}}}, kShape, 30);
  EXPECT_EQ(plan.limits, (std::vector<int32_t>{13, 26}));
  EXPECT_EQ(plan.positions, (std::vector<int32_t>{12, 25}));
  EXPECT_EQ(plan.tiles[0].own.end, 26);
}

TEST(AttentionPlan, an_empty_batch_has_no_tiles) { EXPECT_TRUE(plan_attention({}, kShape, 0).tiles.empty()); }

TEST(AttentionPlan, refuses_spans_that_do_not_fit) {
  const auto refuses = [](const char* what, const std::function<void(std::vector<AttentionSpan>&)>& damage) {
    SCOPED_TRACE(what);
    std::vector<AttentionSpan> spans = forest();
    damage(spans);
    EXPECT_THROW(plan_attention(spans, kShape, 113), Error);
  };
  refuses("a gap in the queries", [](auto& s) { s[1].query_begin = 11; });
  refuses("queries backwards", [](auto& s) { s[2].query_end = 100; });
  refuses("keys past the end", [](auto& s) { s[2].own.end = 114; });
  refuses("a range backwards", [](auto& s) { s[1].ancestors[0] = {5, 2, 0}; });
  refuses("a negative row", [](auto& s) { s[1].ancestors[0].begin = -1; });
  refuses("own rows over an ancestor", [](auto& s) { s[1].own.position = 9; });
  refuses("ancestors out of order", [](auto& s) { s[1].ancestors.push_back({0, 5, 3}); });
  refuses("more queries than own rows", [](auto& s) { s[1].own.begin = 11; });
  refuses("rows that do not match the queries", [](auto& s) { s[2].rows = {110, 111}; });
  refuses("rows that do not rise", [](auto& s) { s[2].rows = {110, 112, 112}; });
  refuses("rows of another segment", [](auto& s) { s[2].rows = {109, 111, 112}; });
}

TEST(AttentionPlan, pairs_are_those_that_the_queries_see) {
  std::vector<AttentionSpan> spans = forest();
  spans.push_back({113, 116, {{0, 10, 0}, {10, 30, 10}}, {110, 113, 30}, {}});
  spans.push_back({116, 118, {{0, 10, 0}}, {10, 110, 10}, {17, 90}});
  for (const int32_t window : {0, 1, 4, 75}) {
    int64_t expected = 0;
    const auto count = [&](const KeyRange& range, int32_t position) {
      for (int32_t row = range.begin; row < range.end; ++row) {
        const int32_t back = position - (range.position + row - range.begin);
        expected += back >= 0 && (window == 0 || back < window);
      }
    };
    for (const AttentionSpan& span : spans) {
      const int32_t queries = span.query_end - span.query_begin;
      for (int32_t i = 0; i < queries; ++i) {
        const int32_t row = span.rows.empty() ? span.own.end - queries + i : span.rows[static_cast<size_t>(i)];
        const int32_t position = span.own.position + row - span.own.begin;
        for (const KeyRange& range : span.ancestors) count(range, position);
        count(span.own, position);
      }
    }
    AttentionShape shape = kShape;
    shape.window = window;
    EXPECT_EQ(attention_pairs(plan_attention(spans, shape, 113)), expected) << "window " << window;
  }
}

TEST(AttentionPlan, refuses_impossible_shapes) {
  AttentionShape shape = kShape;
  shape.key_heads = 2;
  EXPECT_THROW(plan_attention(forest(), shape, 113), Error);
  shape = kShape;
  shape.window = -1;
  EXPECT_THROW(plan_attention(forest(), shape, 113), Error);
}

}  // namespace
}  // namespace luthier
