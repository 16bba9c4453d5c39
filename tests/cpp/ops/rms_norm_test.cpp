#include "luthier/ops/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <array>

#include "dense_cases.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

using testing::Block;

constexpr double kEpsilon = 1e-5;
constexpr std::pair<int64_t, int64_t> kShapes[] = {{1, 1}, {1, 576}, {3, 15}, {67, 33}, {129, 576}, {2500, 17}};

at::Tensor norm_of(const at::Tensor& x, const at::Tensor& weight) {
  return x * (x.square().mean(1, true) + kEpsilon).rsqrt() * weight;
}

TEST(RmsNorm, forward_agrees_with_its_formula_in_double) {
  for (const auto& [rows, columns] : kShapes) {
    testing::on_every_path([&, rows = rows, columns = columns](at::ScalarType type) {
      const Block x(testing::normal({rows, columns}, type, 1, 3));
      const at::Tensor weight = testing::normal({columns}, type, 2);
      Block out(at::empty({rows, columns}, type));
      at::Tensor rstd = at::empty({rows}, at::kFloat);
      rms_norm_forward(x.view, weight, kEpsilon, out.view, rstd);
      const at::Tensor wide = x.view.to(at::kDouble);
      EXPECT_LE(testing::relative_error_of_elements(out.view, norm_of(wide, weight.to(at::kDouble))),
                testing::rounding(type));
      EXPECT_LE(testing::relative_error_of_elements(rstd, (wide.square().mean(1) + kEpsilon).rsqrt()), 1e-5);
      EXPECT_TRUE(out.intact());
    });
  }
}

TEST(RmsNorm, add_forward_adds_rounds_and_norms) {
  for (const auto& [rows, columns] : kShapes) {
    testing::on_every_path([&, rows = rows, columns = columns](at::ScalarType type) {
      Block x(testing::normal({rows, columns}, type, 1, 3));
      const Block delta(testing::normal({rows, columns}, type, 3));
      const at::Tensor weight = testing::normal({columns}, type, 2);
      const at::Tensor sum = (x.view.to(at::kFloat) + delta.view.to(at::kFloat)).to(type);
      Block out(at::empty({rows, columns}, type));
      at::Tensor rstd = at::empty({rows}, at::kFloat), expected = at::empty({rows, columns}, type);
      add_rms_norm_forward(x.view, delta.view, weight, kEpsilon, out.view, rstd);
      EXPECT_TRUE(testing::same_bits(x.view, sum));
      EXPECT_LE(testing::relative_error_of_elements(out.view, norm_of(sum.to(at::kDouble), weight.to(at::kDouble))),
                testing::rounding(type));
      EXPECT_TRUE(x.intact() && out.intact());
    });
  }
}

TEST(RmsNorm, backward_agrees_with_autograd) {
  for (const auto& [rows, columns] : kShapes) {
    testing::on_every_path([&, rows = rows, columns = columns](at::ScalarType type) {
      const Block x(testing::normal({rows, columns}, type, 1, 3)), d_out(testing::normal({rows, columns}, type, 4));
      const at::Tensor weight = testing::normal({columns}, type, 2);
      const at::Tensor x64 = testing::tracked(x.view), weight64 = testing::tracked(weight);
      (norm_of(x64, weight64) * d_out.view.to(at::kDouble)).sum().backward();
      Block out(at::empty({rows, columns}, type)), d_x(testing::normal({rows, columns}, type, 5));
      at::Tensor rstd = at::empty({rows}, at::kFloat), d_weight = testing::normal({columns}, at::kFloat, 6);
      const at::Tensor d_x_before = d_x.view.to(at::kDouble), d_weight_before = d_weight.to(at::kDouble);
      rms_norm_forward(x.view, weight, kEpsilon, out.view, rstd);
      rms_norm_backward(d_out.view, x.view, weight, rstd, d_x.view, d_weight);
      EXPECT_LE(testing::relative_error_of_elements(d_x.view, d_x_before + x64.grad()), testing::rounding(type));
      EXPECT_LE(testing::largest_error(d_weight, d_weight_before + weight64.grad()), 1e-5);
      EXPECT_TRUE(d_x.intact());

      Block again(d_x_before.to(type));
      at::Tensor d_weight_again = d_weight_before.to(at::kFloat);
      rms_norm_backward(d_out.view, x.view, weight, rstd, again.view, d_weight_again);
      EXPECT_TRUE(testing::same_bits(again.view, d_x.view) && testing::same_bits(d_weight_again, d_weight));
    });
  }
}

// Heads of a row that have norms of their own, in columns of a wider buffer, with weights stored as distances from one.
TEST(RmsNorm, norms_of_heads_agree_with_autograd) {
  constexpr double kOffset = 1;
  for (const auto& [rows, heads, size] : {std::array<int64_t, 3>{1, 1, 4}, {3, 5, 10}, {130, 3, 64}}) {
    testing::on_every_path([&, rows = rows, heads = heads, size = size](at::ScalarType type) {
      const auto by_head = [&](const at::Tensor& x) { return x.unflatten(1, {heads, size}); };
      const Block x(testing::normal({rows, heads * size}, type, 1, 3));
      const Block d_out(testing::normal({rows, heads * size}, type, 4));
      const at::Tensor weight = testing::normal({size}, type, 2, 0.3);
      const at::Tensor x64 = testing::tracked(x.view), weight64 = testing::tracked(weight);
      const at::Tensor wide = by_head(x64);
      const at::Tensor expected = wide * (wide.square().mean(-1, true) + kEpsilon).rsqrt() * (weight64 + kOffset);
      (expected * by_head(d_out.view).to(at::kDouble)).sum().backward();

      Block out(at::empty({rows, heads * size}, type)), d_x(testing::normal({rows, heads * size}, type, 5));
      const at::Tensor before = d_x.view.to(at::kDouble);
      at::Tensor rstd = at::empty({rows, heads}, at::kFloat), d_weight = at::zeros({size}, at::kFloat);
      at::Tensor out_heads = by_head(out.view), d_x_heads = by_head(d_x.view);
      rms_norm_forward(by_head(x.view), weight, kEpsilon, out_heads, rstd, kOffset);
      rms_norm_backward(by_head(d_out.view), by_head(x.view), weight, rstd, d_x_heads, d_weight, kOffset);
      EXPECT_LE(testing::relative_error_of_elements(out_heads, expected), testing::rounding(type));
      EXPECT_LE(testing::relative_error_of_elements(d_x.view, before + x64.grad()), testing::rounding(type));
      EXPECT_LE(testing::largest_error(d_weight, weight64.grad()), 1e-5);
      EXPECT_TRUE(out.intact() && d_x.intact());
    });
  }
}

TEST(RmsNorm, leaves_out_the_weight_gradient_of_a_frozen_weight) {
  testing::on_every_path([](at::ScalarType type) {
    const at::Tensor x = testing::normal({5, 33}, type, 1), weight = testing::normal({33}, type, 2);
    at::Tensor rstd = at::empty({5}, at::kFloat), out = at::empty_like(x), d_x = at::zeros_like(x);
    at::Tensor with = at::zeros_like(x), d_weight = at::zeros({33}, at::kFloat);
    rms_norm_forward(x, weight, kEpsilon, out, rstd);
    rms_norm_backward(x, x, weight, rstd, d_x, at::Tensor());
    rms_norm_backward(x, x, weight, rstd, with, d_weight);
    EXPECT_TRUE(testing::same_bits(d_x, with));
  });
}

TEST(RmsNorm, refuses_wrong_shapes_and_types) {
  const at::Tensor x = testing::normal({4, 8}, at::kFloat, 1), weight = testing::normal({8}, at::kFloat, 2);
  at::Tensor out = at::empty_like(x), rstd = at::empty({4}, at::kFloat);
  at::Tensor short_rstd = at::empty({3}, at::kFloat), bf16 = out.to(at::kBFloat16), turned = at::empty({8, 4}).t();
  at::Tensor undefined;
  EXPECT_THROW(rms_norm_forward(x, weight.narrow(0, 0, 7), kEpsilon, out, rstd), Error);
  EXPECT_THROW(rms_norm_forward(x, weight, kEpsilon, out, short_rstd), Error);
  EXPECT_THROW(rms_norm_forward(x, weight, kEpsilon, bf16, rstd), Error);
  EXPECT_THROW(rms_norm_forward(x, weight, kEpsilon, turned, rstd), Error);
  EXPECT_THROW(rms_norm_forward(x, weight, kEpsilon, undefined, rstd), Error);
  EXPECT_NO_THROW(rms_norm_forward(x, weight, kEpsilon, out, rstd));
}

}  // namespace
}  // namespace luthier
