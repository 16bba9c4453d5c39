#include "luthier/ops/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "dense_cases.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

using testing::Block;

struct Case {
  int64_t rows, heads, size, rotated;
};
constexpr Case kCases[] = {{1, 1, 2, 2}, {7, 3, 64, 64}, {130, 2, 80, 80}, {33, 5, 40, 10}, {4, 1, 6, 6}};

at::Tensor rotated(const at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin) {
  const int64_t half = cos.size(1);
  const at::Tensor c = cos.to(at::kDouble).index_select(0, positions).unsqueeze(1);
  const at::Tensor s = sin.to(at::kDouble).index_select(0, positions).unsqueeze(1);
  const at::Tensor a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
  return at::cat({a * c - b * s, b * c + a * s, x.narrow(2, 2 * half, x.size(2) - 2 * half)}, 2);
}

TEST(Rope, forward_and_backward_agree_with_autograd) {
  for (const Case& c : kCases) {
    testing::on_every_path([&](at::ScalarType type) {
      Block x(testing::normal({c.rows, c.heads * c.size}, type, 1));
      Block d_out(testing::normal({c.rows, c.heads * c.size}, type, 2));
      const at::Tensor positions = testing::integers(c.rows, 50, 3);
      const at::Tensor angles = testing::normal({50, c.rotated / 2}, at::kFloat, 4, 3);
      const at::Tensor cos = angles.cos(), sin = angles.sin();
      at::Tensor heads = x.view.unflatten(1, {c.heads, c.size}), d_heads = d_out.view.unflatten(1, {c.heads, c.size});
      const at::Tensor input = testing::tracked(heads);
      const at::Tensor expected = rotated(input, positions, cos, sin);
      (expected * d_heads.to(at::kDouble)).sum().backward();
      rope_forward(heads, positions, cos, sin);
      rope_backward(d_heads, positions, cos, sin);
      EXPECT_LE(testing::relative_error_of_elements(heads, expected), testing::rounding(type));
      EXPECT_LE(testing::relative_error_of_elements(d_heads, input.grad()), testing::rounding(type));
      EXPECT_TRUE(x.intact() && d_out.intact());
    });
  }
}

TEST(Rope, refuses_positions_outside_the_table_and_heads_that_are_too_small) {
  at::Tensor x = testing::normal({4, 2, 8}, at::kFloat, 1);
  const at::Tensor table = testing::normal({5, 4}, at::kFloat, 2), wide = testing::normal({5, 5}, at::kFloat, 3);
  const at::Tensor positions = testing::integers(4, 5, 4), far = positions + 5;
  EXPECT_THROW(rope_forward(x, far, table, table), Error);
  EXPECT_THROW(rope_forward(x, positions - 5, table, table), Error);
  EXPECT_THROW(rope_forward(x, positions, wide, wide), Error);
  EXPECT_THROW(rope_forward(x, positions, table, wide), Error);
  EXPECT_THROW(rope_forward(x, positions.to(at::kLong), table, table), Error);
  EXPECT_NO_THROW(rope_forward(x, positions, table, table));
}

}  // namespace
}  // namespace luthier
