#include "luthier/model/forest_input.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "luthier/base/error.h"

namespace luthier {
namespace {

std::vector<KeyRange> ancestors_of(const std::vector<Segment>& segments, int32_t segment) {
  std::vector<KeyRange> ranges;
  for (int32_t s = segments[segment].parent; s >= 0; s = segments[s].parent) {
    ranges.push_back({segments[s].begin, segments[s].end, segments[s].position});
  }
  std::reverse(ranges.begin(), ranges.end());
  return ranges;
}

std::vector<AttentionSpan> spans_of_all(const std::vector<Segment>& segments) {
  std::vector<AttentionSpan> spans;
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment& segment = segments[s];
    spans.push_back({segment.begin,
                     segment.end,
                     ancestors_of(segments, static_cast<int32_t>(s)),
                     {segment.begin, segment.end, segment.position},
                     {}});
  }
  return spans;
}

std::vector<AttentionSpan> spans_of_selected(const std::vector<Segment>& segments,
                                             const std::vector<int64_t>& selected) {
  std::vector<AttentionSpan> spans;
  auto row = selected.begin();
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment& segment = segments[s];
    AttentionSpan span;
    span.query_begin = static_cast<int32_t>(row - selected.begin());
    for (; row != selected.end() && *row < segment.end; ++row) span.rows.push_back(static_cast<int32_t>(*row));
    if (span.rows.empty()) continue;
    span.query_end = static_cast<int32_t>(row - selected.begin());
    span.ancestors = ancestors_of(segments, static_cast<int32_t>(s));
    span.own = {segment.begin, span.rows.back() + 1, segment.position};
    spans.push_back(std::move(span));
  }
  return spans;
}

}  // namespace

std::vector<AttentionPlan> plan_windows(const std::vector<AttentionSpan>& spans, const DecoderConfig& config,
                                        int64_t keys) {
  AttentionShape shape;
  shape.heads = config.heads;
  shape.key_heads = config.key_heads;
  shape.head_size = config.head_size;
  shape.scale =
      config.attention_scale > 0 ? config.attention_scale : 1.0 / std::sqrt(static_cast<double>(config.head_size));
  shape.soft_cap = config.attention_soft_cap;
  std::vector<AttentionPlan> plans;
  for (const int32_t window : windows_of(config)) {
    shape.window = window;
    plans.push_back(plan_attention(spans, shape, keys));
  }
  return plans;
}

const AttentionPlan& plan_of(const std::vector<AttentionPlan>& plans, int32_t window) {
  for (const AttentionPlan& plan : plans) {
    if (plan.shape.window == window) return plan;
  }
  fail("[plan_of] no plan for a window of ", window);
}

ForestInput make_forest_input(const Batch& batch, const std::vector<int64_t>& selected, const DecoderConfig& config) {
  ForestInput input;
  input.tokens = batch.tokens;
  input.positions = batch.positions;
  input.plans = plan_windows(spans_of_all(batch.segments), config, batch.rows());
  for (const Segment& segment : batch.segments) {
    input.most_positions = std::max<int64_t>(input.most_positions, segment.position + segment.end - segment.begin);
  }
  if (!selected.empty()) {
    input.selected = at::empty({static_cast<int64_t>(selected.size())}, at::kLong);
    std::copy(selected.begin(), selected.end(), input.selected.data_ptr<int64_t>());
    input.selected_plans = plan_windows(spans_of_selected(batch.segments, selected), config, batch.rows());
  }
  return input;
}

}  // namespace luthier
