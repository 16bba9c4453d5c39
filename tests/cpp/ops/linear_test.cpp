#include "luthier/ops/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "dense_cases.h"
#include "luthier/base/error.h"
#include "luthier/ops/instruction_set.h"

namespace luthier {
namespace {

using testing::Block;

struct Case {
  int64_t rows, in, out;
};
constexpr Case kCases[] = {{1, 1, 1},       {1, 576, 48},    {3, 17, 5},       {65, 33, 16},   {130, 576, 16},
                           {70, 16, 577},   {515, 48, 96},   {257, 100, 90},   {1100, 64, 31}, {2, 2000, 3},
                           {40, 70, 130},   {64, 34, 90},    {17, 31, 70},     {4, 33, 129},   {600, 300, 20},
                           {139, 2110, 70}, {301, 70, 2050}, {1029, 120, 190}, {700, 16, 200}};

TEST(Linear, forward_agrees_with_double) {
  for (const Case& c : kCases) {
    testing::on_every_path([&](at::ScalarType type) {
      const Block x(testing::normal({c.rows, c.in}, type, 1)), weight(testing::normal({c.out, c.in}, type, 2));
      const at::Tensor bias = testing::normal({c.out}, type, 3);
      const at::Tensor product = x.view.to(at::kDouble).mm(weight.view.to(at::kDouble).t());
      const Block start(testing::normal({c.rows, c.out}, type, 4));
      for (const bool accumulate : {false, true}) {
        for (const bool with_bias : {false, true}) {
          Block out(start.view);
          at::Tensor truth = product.clone();
          if (accumulate) truth += start.view;
          if (with_bias) truth += bias;
          linear_forward(x.view, weight.view, with_bias ? bias : at::Tensor(), out.view, accumulate);
          EXPECT_LE(testing::largest_error(out.view, truth), testing::rounding(type));
          EXPECT_TRUE(out.intact());
        }
      }
    });
  }
}

TEST(Linear, backward_input_agrees_with_double) {
  for (const Case& c : kCases) {
    testing::on_every_path([&](at::ScalarType type) {
      const Block d_out(testing::normal({c.rows, c.out}, type, 1)), weight(testing::normal({c.out, c.in}, type, 2));
      const at::Tensor product = d_out.view.to(at::kDouble).mm(weight.view.to(at::kDouble));
      for (const bool accumulate : {false, true}) {
        Block d_x(testing::normal({c.rows, c.in}, type, 4));
        const at::Tensor truth = accumulate ? product + d_x.view : product;
        linear_backward_input(d_out.view, weight.view, d_x.view, accumulate);
        EXPECT_LE(testing::largest_error(d_x.view, truth), testing::rounding(type));
        EXPECT_TRUE(d_x.intact());
      }
    });
  }
}

TEST(Linear, backward_weight_adds_in_fp32) {
  for (const Case& c : kCases) {
    testing::on_every_path([&](at::ScalarType type) {
      const Block d_out(testing::normal({c.rows, c.out}, type, 1)), x(testing::normal({c.rows, c.in}, type, 2));
      Block d_weight(testing::normal({c.out, c.in}, at::kFloat, 3)), again(d_weight.view);
      const at::Tensor truth =
          d_weight.view.to(at::kDouble) + 0.3 * d_out.view.to(at::kDouble).t().mm(x.view.to(at::kDouble));
      linear_backward_weight(d_out.view, x.view, 0.3, d_weight.view);
      EXPECT_LE(testing::largest_error(d_weight.view, truth), 1e-5);
      EXPECT_TRUE(d_weight.intact());
      linear_backward_weight(d_out.view, x.view, 0.3, again.view);
      EXPECT_TRUE(testing::same_bits(again.view, d_weight.view));
    });
  }
}

// Where threads are many, they share columns too; and a thread's own sums of a gradient are added up.
TEST(Linear, agrees_with_double_on_any_number_of_threads) {
  constexpr Case kShapes[] = {{520, 90, 200}, {300, 200, 48}, {1029, 24, 130}};
  for (const Case& c : kShapes) {
    testing::on_every_path([&](at::ScalarType type) {
      const Block x(testing::normal({c.rows, c.in}, type, 1)), weight(testing::normal({c.out, c.in}, type, 2));
      const Block d_out(testing::normal({c.rows, c.out}, type, 3));
      const at::Tensor truth = x.view.to(at::kDouble).mm(weight.view.to(at::kDouble).t());
      const at::Tensor d_truth = d_out.view.to(at::kDouble).t().mm(x.view.to(at::kDouble));
      for (const int threads : {1, 2, 3, 5, 8}) {
        const testing::Threads chosen(threads);
        Block out(testing::normal({c.rows, c.out}, type, 4));
        linear_forward(x.view, weight.view, {}, out.view);
        EXPECT_LE(testing::largest_error(out.view, truth), testing::rounding(type)) << threads;
        Block d_weight(at::zeros({c.out, c.in}, at::kFloat));
        linear_backward_weight(d_out.view, x.view, 1, d_weight.view);
        EXPECT_LE(testing::largest_error(d_weight.view, d_truth), 1e-5) << threads;
        EXPECT_TRUE(out.intact() && d_weight.intact());
      }
    });
  }
}

// A row's output depends neither on the rows beside it nor on the threads: batches may be cut anywhere.
TEST(Linear, rows_in_bf16_have_the_same_bits_in_any_batch) {
  if (instruction_set() < InstructionSet::avx512) GTEST_SKIP() << "the products are torch's";
  const at::Tensor x = testing::normal({700, 130}, at::kBFloat16, 1);
  const at::Tensor weight = testing::normal({200, 130}, at::kBFloat16, 2);
  at::Tensor whole = at::empty({700, 200}, at::kBFloat16);
  linear_forward(x, weight, {}, whole);
  for (const int threads : {1, 3, 7}) {
    const testing::Threads chosen(threads);
    for (const auto& [begin, rows] : {std::pair<int64_t, int64_t>{0, 700}, {13, 130}, {130, 401}}) {
      at::Tensor out = at::empty({rows, 200}, at::kBFloat16);
      linear_forward(x.narrow(0, begin, rows), weight, {}, out);
      EXPECT_TRUE(testing::same_bits(out, whole.narrow(0, begin, rows))) << rows << " rows, " << threads << " threads";
    }
  }
}

TEST(Linear, backward_bias_adds_the_rows) {
  for (const Case& c : kCases) {
    testing::on_every_path([&](at::ScalarType type) {
      const Block d_out(testing::normal({c.rows, c.out}, type, 1));
      at::Tensor d_bias = testing::normal({c.out}, at::kFloat, 3), again = d_bias.clone();
      const at::Tensor truth = d_bias.to(at::kDouble) + d_out.view.to(at::kDouble).sum(0);
      linear_backward_bias(d_out.view, d_bias);
      EXPECT_LE(testing::largest_error(d_bias, truth), 1e-5);
      linear_backward_bias(d_out.view, again);
      EXPECT_TRUE(testing::same_bits(again, d_bias));
    });
  }
}

TEST(Linear, refuses_operands_that_do_not_fit) {
  const at::Tensor x = testing::normal({4, 8}, at::kFloat, 1), weight = testing::normal({5, 8}, at::kFloat, 2);
  at::Tensor out = at::empty({4, 5}, at::kFloat), narrow = at::empty({4, 4}, at::kFloat), none;
  at::Tensor bf16 = at::empty({5, 8}, at::kBFloat16);
  EXPECT_THROW(linear_forward(x, weight, none, narrow), Error);
  EXPECT_THROW(linear_forward(x, weight.narrow(1, 0, 7), none, out), Error);
  EXPECT_THROW(linear_forward(x, bf16, none, out), Error);
  EXPECT_THROW(linear_forward(x.t(), weight, none, out), Error);
  EXPECT_THROW(linear_backward_weight(out, x, 1, bf16), Error);
  EXPECT_NO_THROW(linear_forward(x, weight, none, out));
}

}  // namespace
}  // namespace luthier
