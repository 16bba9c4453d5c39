#include "attention_cases.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "luthier/ops/attention.h"

namespace luthier::testing {
namespace {

AttentionShape shape(int64_t heads, int64_t key_heads, int64_t head_size, int32_t window = 0, double soft_cap = 0) {
  return {heads, key_heads, head_size, 1 / std::sqrt(static_cast<double>(head_size)), window, soft_cap};
}

/// [Q, K] bool, from the forest alone: the query's row and what stands before it on the way to its root.
at::Tensor visible_keys(const AttentionCase& c) {
  const std::vector<KeyRange> ranges = ranges_of(c);
  const int32_t keys = ranges.empty() ? 0 : ranges.back().end;
  std::vector<at::Tensor> rows;
  for (size_t node = 0; node < c.nodes.size(); ++node) {
    for (int32_t i = c.query_every - 1; i < c.nodes[node].length; i += c.query_every) {
      at::Tensor row = at::zeros({keys}, at::kBool);
      int32_t last = i;
      int32_t left = c.shape.window > 0 ? c.shape.window : std::numeric_limits<int32_t>::max();
      for (int32_t at = static_cast<int32_t>(node); at >= 0 && left > 0; at = c.nodes[static_cast<size_t>(at)].parent) {
        if (at != static_cast<int32_t>(node)) last = c.nodes[static_cast<size_t>(at)].length - 1;
        for (; last >= 0 && left > 0; --last, --left) row[ranges[static_cast<size_t>(at)].begin + last].fill_(true);
      }
      rows.push_back(row);
    }
  }
  return rows.empty() ? at::zeros({0, keys}, at::kBool) : at::stack(rows);
}

/// A copy whose rows are as far apart as those of x.
at::Tensor strided_like(const at::Tensor& x) { return at::empty_strided(x.sizes(), x.strides(), x.options()).fill_(7); }

}  // namespace

std::vector<KeyRange> ranges_of(const AttentionCase& c) {
  std::vector<KeyRange> ranges;
  int32_t row = 0;
  for (const Node& node : c.nodes) {
    KeyRange range{row, row + node.length, 0};
    if (node.parent >= 0) {
      const KeyRange& parent = ranges[static_cast<size_t>(node.parent)];
      range.position = parent.position + (parent.end - parent.begin);
    }
    ranges.push_back(range);
    row = range.end;
  }
  return ranges;
}

std::vector<AttentionSpan> spans_of(const AttentionCase& c) {
  const std::vector<KeyRange> ranges = ranges_of(c);
  std::vector<AttentionSpan> spans;
  int32_t queries = 0;
  for (size_t node = 0; node < c.nodes.size(); ++node) {
    const int32_t count = c.nodes[node].length / c.query_every;
    if (count == 0) continue;
    AttentionSpan span;
    span.query_begin = queries;
    span.query_end = queries += count;
    for (int32_t at = c.nodes[node].parent; at >= 0; at = c.nodes[static_cast<size_t>(at)].parent)
      span.ancestors.insert(span.ancestors.begin(), ranges[static_cast<size_t>(at)]);
    span.own = ranges[node];
    if (c.query_every > 1) {
      for (int32_t i = c.query_every - 1; i < c.nodes[node].length; i += c.query_every)
        span.rows.push_back(span.own.begin + i);
      span.own.end = span.rows.back() + 1;
    }
    spans.push_back(span);
  }
  return spans;
}

AttentionInputs random_inputs(const AttentionCase& c, at::ScalarType type, uint64_t seed) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const int64_t keys = c.nodes.empty() ? 0 : ranges_of(c).back().end;
  const auto [heads, key_heads, size, scale, window, cap] = c.shape;
  const at::Tensor qkv = at::randn({keys, heads + 2 * key_heads, size}, generator, at::kDouble).to(type);
  AttentionInputs inputs;
  inputs.q = qkv.slice(1, 0, heads);
  inputs.k = qkv.slice(1, heads, heads + key_heads);
  inputs.v = qkv.slice(1, heads + key_heads, heads + 2 * key_heads);
  if (c.query_every > 1) {
    int64_t queries = 0;
    for (const Node& node : c.nodes) queries += node.length / c.query_every;
    inputs.q = inputs.q.slice(0, 0, queries);
  }
  inputs.d_out = at::randn(inputs.q.sizes(), generator, at::kDouble).to(type);
  return inputs;
}

AttentionTruth truth_of(const AttentionCase& c, const AttentionInputs& inputs) {
  const int64_t group = c.shape.heads / c.shape.key_heads;
  const at::Tensor q = inputs.q.to(at::kDouble).contiguous().requires_grad_(true);
  const at::Tensor k = inputs.k.to(at::kDouble).contiguous().requires_grad_(true);
  const at::Tensor v = inputs.v.to(at::kDouble).contiguous().requires_grad_(true);
  const at::Tensor visible = visible_keys(c);
  const at::Tensor infinity = at::full({}, -std::numeric_limits<double>::infinity(), at::kDouble);
  std::vector<at::Tensor> outs, sums;
  for (int64_t head = 0; head < c.shape.heads; ++head) {
    at::Tensor s = at::matmul(q.select(1, head), k.select(1, head / group).transpose(0, 1)) * c.shape.scale;
    if (c.shape.soft_cap > 0) s = at::tanh(s / c.shape.soft_cap) * c.shape.soft_cap;
    s = at::where(visible, s, infinity);
    outs.push_back(at::matmul(at::softmax(s, -1), v.select(1, head / group)));
    sums.push_back(at::logsumexp(s, -1));
  }
  const at::Tensor out = at::stack(outs, 1);
  (out * inputs.d_out.to(at::kDouble)).sum().backward();
  return {out.detach(), at::stack(sums, 1).detach(), q.grad(), k.grad(), v.grad()};
}

AttentionTruth computed(const AttentionCase& c, const AttentionInputs& inputs) {
  const AttentionPlan plan = plan_attention(spans_of(c), c.shape, inputs.k.size(0));
  const bool wide = inputs.q.scalar_type() == at::kDouble;
  AttentionTruth result{strided_like(inputs.q),
                        at::full({inputs.q.size(0), c.shape.heads}, 7, wide ? at::kDouble : at::kFloat),
                        strided_like(inputs.q), strided_like(inputs.k), strided_like(inputs.v)};
  attention_forward(plan, inputs.q, inputs.k, inputs.v, result.out, result.log_sum_exp);
  attention_backward(plan, inputs.q, inputs.k, inputs.v, result.out, result.log_sum_exp, inputs.d_out, result.d_q,
                     result.d_k, result.d_v);
  return result;
}

double relative_error(const at::Tensor& value, const at::Tensor& truth) {
  const double size = truth.norm().item<double>();
  return (value.to(at::kDouble) - truth).norm().item<double>() / (size > 0 ? size : 1);
}

std::vector<AttentionCase> attention_cases() {
  const std::vector<Node> tree = {{-1, 37}, {0, 5}, {1, 70}, {1, 3}, {0, 64}, {4, 1}, {4, 130}, {-1, 66}, {7, 2}};
  std::vector<Node> fan = {{-1, 97}};
  for (int32_t i = 0; i < 40; ++i) fan.push_back({0, 1 + i % 7});
  return {
      {"one_token", {{-1, 1}}, shape(3, 1, 64)},
      {"one_row_of_two", {{-1, 2}}, shape(1, 1, 8)},
      {"one_root", {{-1, 300}}, shape(9, 3, 64)},
      {"roots", {{-1, 64}, {-1, 65}, {-1, 1}, {-1, 127}, {-1, 128}}, shape(4, 4, 40)},
      {"tree_head_8", tree, shape(4, 1, 8)},
      {"tree_head_5", tree, shape(2, 2, 5)},
      {"tree_head_40", tree, shape(3, 1, 40)},
      {"tree_head_64", tree, shape(9, 3, 64)},
      {"tree_head_96", tree, shape(4, 1, 96)},
      {"tree_head_128", tree, shape(2, 2, 128)},
      {"fan", fan, shape(9, 3, 64)},
      {"fan_of_one_head", fan, shape(1, 1, 16)},
      {"every_third_row", tree, shape(6, 2, 64), 3},
      {"every_fortieth_row", tree, shape(6, 2, 64), 40},
      {"window_2", tree, shape(4, 2, 32, 2)},
      {"window_33", tree, shape(4, 2, 32, 33)},
      {"window_70_every_third_row", tree, shape(4, 2, 64, 70), 3},
      {"soft_cap", tree, shape(4, 2, 32, 0, 2.5)},
      {"window_and_soft_cap", tree, shape(3, 3, 64, 50, 1.5)},
      {"wide_group", {{-1, 90}, {0, 20}, {0, 9}}, shape(16, 1, 64)},
  };
}

}  // namespace luthier::testing
