#include "luthier/ops/reference/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tanh.h>

#include <algorithm>
#include <limits>

namespace luthier::reference {
namespace {

/// [Q, K] bool: true where the query must not look.
at::Tensor hidden_keys(const AttentionPlan& plan, at::Device device) {
  at::Tensor hidden = at::ones({plan.queries, plan.keys}, at::kBool);
  bool* rows = hidden.data_ptr<bool>();
  for (const QueryTile& tile : plan.tiles) {
    for (int32_t query = tile.query_begin; query < tile.query_end; ++query) {
      bool* row = rows + query * plan.keys;
      const int32_t position = plan.positions[static_cast<size_t>(query)];
      const auto show = [&](const KeyRange& range, int32_t end) {
        for (int32_t key = range.begin; key < end; ++key) {
          const int32_t distance = position - (range.position + (key - range.begin));
          row[key] = plan.shape.window > 0 && distance >= plan.shape.window;
        }
      };
      for (int32_t r = tile.range_begin; r < tile.range_end; ++r) {
        const KeyRange& range = plan.ranges[static_cast<size_t>(r)];
        show(range, range.end);
      }
      show(tile.own, std::min(tile.own.end, plan.limits[static_cast<size_t>(query)]));
    }
  }
  return hidden.to(device);
}

/// [rows, heads, size] to [heads, rows, size] in the type of the computation.
at::Tensor by_head(const at::Tensor& x) {
  return x.transpose(0, 1).to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
}

/// Keys or values of every query head: [heads, K, size].
at::Tensor repeated(const AttentionPlan& plan, const at::Tensor& x) {
  return by_head(x).repeat_interleave(plan.shape.heads / plan.shape.key_heads, 0);
}

/// Gradient of `repeated`, back in the layout [K, key_heads, size].
at::Tensor gathered(const AttentionPlan& plan, const at::Tensor& x) {
  const int64_t group = plan.shape.heads / plan.shape.key_heads;
  return x.view({plan.shape.key_heads, group, x.size(1), x.size(2)}).sum(1).transpose(0, 1);
}

/// Scores before the mask, [heads, Q, K].
at::Tensor scores(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k) {
  at::Tensor s = at::bmm(q, k.transpose(1, 2)) * plan.shape.scale;
  if (plan.shape.soft_cap > 0) s = plan.shape.soft_cap * at::tanh(s / plan.shape.soft_cap);
  return s;
}

}  // namespace

void attention_forward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       at::Tensor& out, at::Tensor& log_sum_exp) {
  if (plan.queries == 0) return;
  const at::Tensor hidden = hidden_keys(plan, q.device());
  const at::Tensor s =
      scores(plan, by_head(q), repeated(plan, k)).masked_fill(hidden, -std::numeric_limits<double>::infinity());
  const at::Tensor lse = at::logsumexp(s, -1, /*keepdim=*/true);
  // A row that no query sees may be one of a cache that was never written: zero times a NaN there would be a NaN.
  const at::Tensor values = repeated(plan, v).masked_fill(hidden.all(0).unsqueeze(-1), 0);
  out.copy_(at::bmm(at::exp(s - lse), values).transpose(0, 1));
  log_sum_exp.copy_(lse.squeeze(-1).transpose(0, 1));
}

void attention_backward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& out, const at::Tensor& log_sum_exp, const at::Tensor& d_out, at::Tensor& d_q,
                        at::Tensor& d_k, at::Tensor& d_v) {
  if (plan.queries == 0) {
    d_k.zero_();
    d_v.zero_();
    return;
  }
  const at::Tensor hidden = hidden_keys(plan, q.device());
  const at::Tensor queries = by_head(q), keys = repeated(plan, k), values = repeated(plan, v), d_o = by_head(d_out);
  const at::Tensor s = scores(plan, queries, keys);
  const at::Tensor lse = log_sum_exp.to(s.scalar_type()).transpose(0, 1).unsqueeze(-1);
  const at::Tensor p = at::exp(s - lse).masked_fill(hidden, 0);
  const at::Tensor d_p = at::bmm(d_o, values.transpose(1, 2));
  const at::Tensor delta = (d_o * by_head(out)).sum(-1, /*keepdim=*/true);
  at::Tensor d_s = p * (d_p - delta) * plan.shape.scale;
  if (plan.shape.soft_cap > 0) {
    const at::Tensor ratio = s / plan.shape.soft_cap;  // the tanh itself, whose derivative is 1 - tanh^2
    d_s = d_s * (1 - ratio * ratio);
  }
  d_q.copy_(at::bmm(d_s, keys).transpose(0, 1));
  d_k.copy_(gathered(plan, at::bmm(d_s.transpose(1, 2), queries)));
  d_v.copy_(gathered(plan, at::bmm(p.transpose(1, 2), d_o)));
}

}  // namespace luthier::reference
