#include "luthier/ops/gated.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/silu.h>
#include <gtest/gtest.h>

#include <cmath>

#include "dense_cases.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

using testing::Block;

constexpr std::pair<int64_t, int64_t> kShapes[] = {{1, 1}, {1, 100}, {5, 15}, {67, 33}, {130, 1536}, {2500, 17}};

at::Tensor gated_of(const at::Tensor& gate_up, Activation activation) {
  const int64_t inner = gate_up.size(1) / 2;
  const at::Tensor gate = gate_up.narrow(1, 0, inner), up = gate_up.narrow(1, inner, inner);
  return (activation == Activation::silu ? at::silu(gate) : at::gelu(gate, "tanh")) * up;
}

TEST(Gated, forward_and_backward_agree_with_autograd) {
  for (const auto activation : {Activation::silu, Activation::gelu_tanh}) {
    for (const auto& [rows, inner] : kShapes) {
      testing::on_every_path([&, rows = rows, inner = inner](at::ScalarType type) {
        Block gate_up(testing::normal({rows, 2 * inner}, type, 1, 4));
        const Block d_out(testing::normal({rows, inner}, type, 2));
        const at::Tensor input = testing::tracked(gate_up.view), expected = gated_of(input, activation);
        (expected * d_out.view.to(at::kDouble)).sum().backward();
        Block out(at::empty({rows, inner}, type)), again(at::empty({rows, inner}, type));
        gated_forward(gate_up.view, activation, out.view);
        EXPECT_LE(testing::relative_error_of_elements(out.view, expected), testing::rounding(type));
        // In place: the gradient takes the memory of gate_up.
        gated_backward(gate_up.view, d_out.view, activation, gate_up.view, again.view);
        EXPECT_LE(testing::largest_error(gate_up.view, input.grad()), testing::rounding(type));
        EXPECT_TRUE(testing::same_bits(again.view, out.view));
        EXPECT_TRUE(gate_up.intact() && out.intact() && again.intact());
      });
    }
  }
}

TEST(Gated, is_right_far_from_zero_and_keeps_what_is_not_a_number) {
  for (const auto activation : {Activation::silu, Activation::gelu_tanh}) {
    testing::on_every_path([&](at::ScalarType type) {
      at::Tensor gate_up = at::full({1, 40}, 2.0, type), out = at::empty({1, 20}, type);
      gate_up[0][3] = 500, gate_up[0][4] = -500, gate_up[0][5] = NAN, gate_up[0][6] = -1e30, gate_up[0][26] = 1;
      gated_forward(gate_up, activation, out);
      EXPECT_EQ(out[0][3].item<float>(), 1000);
      EXPECT_NEAR(out[0][4].item<float>(), 0, 1e-30);
      EXPECT_TRUE(std::isnan(out[0][5].item<float>()));
      EXPECT_NEAR(out[0][6].item<float>(), 0, 1e-6);
      at::Tensor d_gate_up = at::empty_like(gate_up);
      gated_backward(gate_up, at::full({1, 20}, 1.0, type), activation, d_gate_up, at::Tensor());
      EXPECT_EQ(d_gate_up[0][3].item<float>(), 2);
      EXPECT_NEAR(d_gate_up[0][4].item<float>(), 0, 1e-30);
      EXPECT_TRUE(std::isnan(d_gate_up[0][5].item<float>()));
    });
  }
}

TEST(Gated, refuses_wrong_shapes) {
  const at::Tensor gate_up = testing::normal({4, 8}, at::kFloat, 1), odd = testing::normal({4, 7}, at::kFloat, 1);
  at::Tensor out = at::empty({4, 4}, at::kFloat), wide = at::empty({4, 5}, at::kFloat);
  EXPECT_THROW(gated_forward(odd, Activation::silu, out), Error);
  EXPECT_THROW(gated_forward(gate_up, Activation::silu, wide), Error);
  EXPECT_NO_THROW(gated_forward(gate_up, Activation::silu, out));
}

}  // namespace
}  // namespace luthier
