#include "luthier/model/linear_layer.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "luthier/base/error.h"
#include "tiny_decoder.h"

namespace luthier {
namespace {

using testing::relative_error;
using testing::uniform;

constexpr int64_t kRows = 9, kIn = 11;

// Three parts of which the second has no update.
LinearLayer layer_with_update() {
  LinearLayer layer = make_linear_layer(uniform({17, kIn}, 1), uniform({17}, 2), {{"a", 6}, {"b", 4}, {"c", 7}});
  resize_update(layer, {2, 0, 3});
  layer.down.copy_(uniform({5, kIn}, 3));
  for (const LinearPart& part : layer.parts) {
    if (part.rank() > 0) layer.up(part).copy_(uniform({part.end - part.begin, part.rank()}, 4 + part.begin));
  }
  return layer;
}

// W + up down, in double.
at::Tensor merged(const LinearLayer& layer) {
  at::Tensor weight = layer.base().to(at::kDouble);
  for (const LinearPart& part : layer.parts) {
    if (part.rank() == 0) continue;
    const at::Tensor down = layer.down.narrow(0, part.rank_begin, part.rank()).to(at::kDouble);
    weight.narrow(0, part.begin, part.end - part.begin).add_(at::mm(layer.up(part).to(at::kDouble), down));
  }
  return weight;
}

at::Tensor input_with_tail(const LinearLayer& layer) {
  at::Tensor x = at::zeros({kRows, kIn + layer.spare}, at::kFloat);
  x.narrow(1, 0, kIn).copy_(uniform({kRows, kIn}, 20));
  linear_layer_tail(layer, x);
  return x;
}

TEST(LinearLayer, TheUpdateIsPartOfTheProduct) {
  const LinearLayer layer = layer_with_update();
  const at::Tensor x = input_with_tail(layer);
  at::Tensor out = at::zeros({kRows, 17}, at::kFloat);
  linear_layer_product(layer, x, 0, 17, out);
  const at::Tensor plain = x.narrow(1, 0, kIn).to(at::kDouble);
  const at::Tensor wanted = at::mm(plain, merged(layer).t()) + layer.bias.to(at::kDouble);
  EXPECT_LT(relative_error(out, wanted), 1e-6);
  at::Tensor some = at::zeros({kRows, 7}, at::kFloat);
  linear_layer_product(layer, x, 10, 17, some);
  EXPECT_LT(relative_error(some, wanted.narrow(1, 10, 7)), 1e-6);
}

TEST(LinearLayer, TheBackwardOfAllPartsIsThatOfTheExplicitProduct) {
  LinearLayer layer = layer_with_update();
  const at::Tensor x = input_with_tail(layer);
  layer.d_weight = at::zeros({17, kIn}, at::kFloat);
  layer.d_bias = at::zeros({17}, at::kFloat);
  layer.d_down = at::zeros({5, kIn}, at::kFloat);
  layer.d_up = at::zeros({17, 5}, at::kFloat);
  const at::Tensor d_out = uniform({kRows, 17}, 30);
  at::Tensor joined = at::zeros({kRows, 17 + 5}, at::kFloat);
  joined.narrow(1, 0, 17).copy_(d_out);
  LinearBackward backward = whole_backward(layer, joined);
  at::Tensor d_x = uniform({kRows, kIn}, 31);
  const at::Tensor before = d_x.to(at::kDouble, false, /*copy=*/true);
  linear_layer_backward_input(backward, d_x, /*accumulate=*/true);
  linear_layer_backward_weight(backward, x);

  const at::Tensor d = d_out.to(at::kDouble), plain = x.narrow(1, 0, kIn).to(at::kDouble);
  EXPECT_LT(relative_error(d_x, before + at::mm(d, merged(layer))), 1e-6);
  EXPECT_LT(relative_error(layer.d_weight, at::mm(d.t(), plain)), 1e-6);
  EXPECT_LT(relative_error(layer.d_bias, d.sum(0)), 1e-6);
  for (const LinearPart& part : layer.parts) {
    if (part.rank() == 0) continue;
    const int64_t rows = part.end - part.begin;
    const at::Tensor d_part = d.narrow(1, part.begin, rows);
    const at::Tensor up = layer.up(part).to(at::kDouble);
    const at::Tensor down = layer.down.narrow(0, part.rank_begin, part.rank()).to(at::kDouble);
    const at::Tensor d_down = layer.d_down.narrow(0, part.rank_begin, part.rank());
    const at::Tensor d_up = layer.d_up.narrow(0, part.begin, rows).narrow(1, part.rank_begin, part.rank());
    EXPECT_LT(relative_error(d_down, at::mm(at::mm(d_part, up).t(), plain)), 1e-6) << part.name;
    EXPECT_LT(relative_error(d_up, at::mm(d_part.t(), at::mm(plain, down.t()))), 1e-6) << part.name;
  }
}

TEST(LinearLayer, PartsTakenApartAddUpToTheWhole) {
  LinearLayer layer = layer_with_update();
  const at::Tensor x = input_with_tail(layer), d_out = uniform({kRows, 17}, 30);
  at::Tensor d_x[2];
  std::vector<at::Tensor> d_down;
  for (const bool apart : {false, true}) {
    layer.d_down = at::zeros({5, kIn}, at::kFloat);
    layer.d_up = at::zeros({17, 5}, at::kFloat);
    d_x[apart] = at::zeros({kRows, kIn}, at::kFloat);
    const std::vector<std::pair<size_t, size_t>> cuts =
        apart ? std::vector<std::pair<size_t, size_t>>{{1, 3}, {0, 1}} : std::vector<std::pair<size_t, size_t>>{{0, 3}};
    for (const auto& [first, last] : cuts) {
      const int64_t begin = layer.parts[first].begin, end = layer.parts[last - 1].end;
      LinearBackward backward{
          layer, first, last, d_out.narrow(1, begin, end - begin), at::zeros({kRows, 5}, at::kFloat), {}};
      linear_layer_backward_input(backward, d_x[apart], true);
      linear_layer_backward_weight(backward, x);
    }
    d_down.push_back(layer.d_down);
  }
  EXPECT_LT(relative_error(d_x[1], d_x[0]), 1e-6);
  EXPECT_LT(relative_error(d_down[1], d_down[0]), 1e-6);
}

TEST(LinearLayer, TakingTheUpdateAwayLeavesTheWeight) {
  LinearLayer layer = layer_with_update();
  resize_update(layer, {0, 0, 0});
  EXPECT_EQ(layer.spare, 0);
  EXPECT_FALSE(layer.down.defined());
  EXPECT_TRUE(layer.weight.equal(uniform({17, kIn}, 1)));
  EXPECT_THROW(resize_update(layer, {1, 1}), Error);
  EXPECT_THROW(make_linear_layer(uniform({5, 2}, 1), {}, {{"a", 4}}), Error);
}

}  // namespace
}  // namespace luthier
