#include "luthier/model/linear_layer.h"

#include <ATen/ops/zeros.h>

#include "luthier/base/error.h"
#include "luthier/ops/linear.h"
#include "luthier/ops/op_timer.h"

namespace luthier {
namespace {

// What a profile calls the products with the whole weight, and the thin ones.
constexpr const char *kWeights = "weights", *kLowRank = "low-rank";

}  // namespace

at::Tensor LinearLayer::base() const { return weight.narrow(1, 0, in); }

at::Tensor LinearLayer::up(const LinearPart& part) const {
  return weight.narrow(0, part.begin, part.end - part.begin).narrow(1, in + part.rank_begin, part.rank());
}

LinearLayer make_linear_layer(at::Tensor weight, at::Tensor bias,
                              const std::vector<std::pair<std::string, int64_t>>& parts) {
  LinearLayer layer;
  layer.out = weight.size(0);
  layer.in = weight.size(1);
  layer.weight = layer.stacked = std::move(weight);
  layer.bias = std::move(bias);
  int64_t row = 0;
  for (const auto& [name, rows] : parts) {
    layer.parts.push_back({name, row, row + rows, 0, 0});
    row += rows;
  }
  LUTHIER_CHECK(row == layer.out, "[make_linear_layer] the parts have ", row, " rows, the weight ", layer.out);
  return layer;
}

void resize_update(LinearLayer& layer, const std::vector<int64_t>& ranks) {
  LUTHIER_CHECK(ranks.size() == layer.parts.size(), "[resize_update] ", ranks.size(), " ranks for ", layer.parts.size(),
                " parts");
  int64_t spare = 0;
  for (size_t p = 0; p < ranks.size(); ++p) {
    layer.parts[p].rank_begin = spare;
    spare += ranks[p];
    layer.parts[p].rank_end = spare;
  }
  const at::Tensor all = at::zeros({layer.out + spare, layer.in + spare}, layer.weight.options());
  all.narrow(0, 0, layer.out).narrow(1, 0, layer.in).copy_(layer.base());
  layer.weight = all.narrow(0, 0, layer.out);
  layer.stacked = all.narrow(1, 0, layer.in);
  layer.down = spare > 0 ? layer.stacked.narrow(0, layer.out, spare) : at::Tensor();
  layer.spare = spare;
}

void linear_layer_tail(const LinearLayer& layer, at::Tensor& x) {
  if (layer.spare == 0) return;
  const OpLabel label(kLowRank);
  at::Tensor u = x.narrow(1, layer.in, layer.spare);
  linear_forward(x.narrow(1, 0, layer.in), layer.down, {}, u);
}

void linear_layer_product(const LinearLayer& layer, const at::Tensor& x, int64_t begin, int64_t end, at::Tensor& out) {
  const OpLabel label(kWeights);
  const at::Tensor bias = layer.bias.defined() ? layer.bias.narrow(0, begin, end - begin) : at::Tensor();
  linear_forward(x, layer.weight.narrow(0, begin, end - begin), bias, out);
}

LinearBackward whole_backward(LinearLayer& layer, const at::Tensor& joined) {
  return {layer, 0, layer.parts.size(), joined.narrow(1, 0, layer.out), joined.narrow(1, layer.out, layer.spare),
          joined};
}

void linear_layer_backward_input(LinearBackward& b, at::Tensor d_x, bool accumulate) {
  const OpLabel label(kLowRank);
  const LinearLayer& layer = b.layer;
  const int64_t row = layer.parts[b.first].begin;
  const int64_t rank_begin = layer.parts[b.first].rank_begin;
  const int64_t ranks = layer.parts[b.last - 1].rank_end - rank_begin;
  for (size_t p = b.first; p < b.last; ++p) {
    const LinearPart& part = layer.parts[p];
    if (part.rank() == 0) continue;
    at::Tensor v = b.v.narrow(1, part.rank_begin, part.rank());
    linear_backward_input(b.d_out.narrow(1, part.begin - row, part.end - part.begin), layer.up(part), v);
  }
  if (!d_x.defined()) return;
  if (b.joined.defined()) {
    const OpLabel weights(kWeights);
    linear_backward_input(b.joined, layer.stacked, d_x, accumulate);
    return;
  }
  {
    const OpLabel weights(kWeights);
    linear_backward_input(b.d_out, layer.base().narrow(0, row, layer.parts[b.last - 1].end - row), d_x, accumulate);
  }
  if (ranks > 0) {
    linear_backward_input(b.v.narrow(1, rank_begin, ranks), layer.down.narrow(0, rank_begin, ranks), d_x, true);
  }
}

void linear_layer_backward_weight(LinearBackward& b, const at::Tensor& x) {
  const OpLabel label(kLowRank);
  LinearLayer& layer = b.layer;
  const int64_t row = layer.parts[b.first].begin;
  const int64_t rows = layer.parts[b.last - 1].end - row;
  if (layer.d_weight.defined()) {
    const OpLabel weights(kWeights);
    at::Tensor d_weight = layer.d_weight.narrow(0, row, rows);
    linear_backward_weight(b.d_out, x.narrow(1, 0, layer.in), 1.0, d_weight);
  }
  if (layer.d_bias.defined()) {
    const OpLabel weights(kWeights);
    at::Tensor d_bias = layer.d_bias.narrow(0, row, rows);
    linear_backward_bias(b.d_out, d_bias);
  }
  if (!layer.d_down.defined()) return;
  const int64_t rank_begin = layer.parts[b.first].rank_begin;
  const int64_t ranks = layer.parts[b.last - 1].rank_end - rank_begin;
  if (ranks == 0) return;
  at::Tensor d_down = layer.d_down.narrow(0, rank_begin, ranks);
  linear_backward_weight(b.v.narrow(1, rank_begin, ranks), x.narrow(1, 0, layer.in), 1.0, d_down);
  for (size_t p = b.first; p < b.last; ++p) {
    const LinearPart& part = layer.parts[p];
    if (part.rank() == 0) continue;
    at::Tensor d_up = layer.d_up.narrow(0, part.begin, part.end - part.begin).narrow(1, part.rank_begin, part.rank());
    linear_backward_weight(b.d_out.narrow(1, part.begin - row, part.end - part.begin),
                           x.narrow(1, layer.in + part.rank_begin, part.rank()), 1.0, d_up);
  }
}

}  // namespace luthier
