// What each query of a forest attends to, cut into tiles once per batch.
//
// A query sees every row of its ancestors and, in its own segment, the rows up to its own. Rows are rows of the key and
// value tensors: of the batch in training, of the cache in decoding.
#pragma once

#include <cstdint>
#include <vector>

namespace luthier {

/// Rows [begin, end) of k and v, a run of consecutive positions that starts at `position`.
struct KeyRange {
  int32_t begin = 0, end = 0;
  int32_t position = 0;
};

/// Consecutive queries that belong to one segment.
struct AttentionSpan {
  int32_t query_begin = 0, query_end = 0;  // rows [begin, end) of q
  std::vector<KeyRange> ancestors;         // seen whole by every query of the span, root first
  KeyRange own;                            // the segment's rows, from its first to that of the last query
  std::vector<int32_t> rows;               // the key row of each query, rising; empty: the last rows of `own`, in order
};

struct AttentionShape {
  int64_t heads = 0, key_heads = 0, head_size = 0;
  double scale = 0;     // of the scores, usually 1 / sqrt(head_size)
  int32_t window = 0;   // a query sees only keys less than `window` positions back; 0: no limit
  double soft_cap = 0;  // scores become cap * tanh(score / cap); 0: no cap
};

/// At most kQueryTile consecutive queries of one span.
struct QueryTile {
  int32_t query_begin = 0, query_end = 0;
  int32_t range_begin = 0, range_end = 0;  // its ancestors: [begin, end) of AttentionPlan::ranges
  KeyRange own;                            // own rows, up to that of the tile's last query
};

struct AttentionPlan {
  static constexpr int32_t kQueryTile = 64;
  AttentionShape shape;
  int64_t queries = 0, keys = 0;  // rows of q; rows of k and v
  std::vector<QueryTile> tiles;   // in the order of the queries
  std::vector<KeyRange> ranges;  // the ancestors of all tiles, without the parts that a window hides from all of a tile
  std::vector<int32_t> limits;   // [queries]: one past the last own row that the query sees
  std::vector<int32_t> positions;  // [queries]
};

/// Cuts the spans into tiles. Together the spans hold every query of [0, queries) once, in order; the rows of k and v
/// are [0, keys). Throws Error when they do not.
AttentionPlan plan_attention(const std::vector<AttentionSpan>& spans, const AttentionShape& shape, int64_t keys);

/// How many pairs of a query and a key that it sees the plan holds; tiles cover more.
int64_t attention_pairs(const AttentionPlan& plan);

}  // namespace luthier
