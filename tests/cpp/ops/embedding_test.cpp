#include "luthier/ops/embedding.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "dense_cases.h"
#include "luthier/base/error.h"

namespace luthier {
namespace {

using testing::Block;

TEST(Embedding, forward_and_backward_agree_with_autograd) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {7, 576}, {300, 33}}) {
    testing::on_every_path([&, rows = rows, columns = columns](at::ScalarType type) {
      const at::Tensor tokens = testing::integers(rows, 11, 1);
      const Block table(testing::normal({11, columns}, type, 2)), d_out(testing::normal({rows, columns}, type, 3));
      const at::Tensor table64 = testing::tracked(table.view), expected = table64.index_select(0, tokens) * 1.7;
      (expected * d_out.view.to(at::kDouble)).sum().backward();
      Block out(at::empty({rows, columns}, type)), d_table(testing::normal({11, columns}, at::kFloat, 4));
      const at::Tensor before = d_table.view.to(at::kDouble);
      embedding_forward(tokens, table.view, 1.7, out.view);
      embedding_backward(tokens, d_out.view, 1.7, d_table.view);
      EXPECT_LE(testing::relative_error_of_elements(out.view, expected), testing::rounding(type));
      EXPECT_LE(testing::largest_error(d_table.view, before + table64.grad()), 1e-5);
      EXPECT_TRUE(out.intact() && d_table.intact());
    });
  }
}

TEST(Embedding, copies_rows_bit_for_bit_at_scale_one) {
  testing::on_every_path([](at::ScalarType type) {
    const at::Tensor tokens = testing::integers(50, 9, 1), table = testing::normal({9, 70}, type, 2);
    at::Tensor out = at::empty({50, 70}, type);
    embedding_forward(tokens, table, 1, out);
    EXPECT_TRUE(testing::same_bits(out, table.index_select(0, tokens)));
  });
}

TEST(Embedding, the_gradient_of_some_rows_is_a_part_of_the_whole) {
  testing::on_every_path([](at::ScalarType type) {
    const at::Tensor tokens = testing::integers(60, 11, 1), d_out = testing::normal({60, 33}, type, 2);
    const at::Tensor start = testing::normal({11, 33}, at::kFloat, 3);
    at::Tensor whole = start.clone();
    embedding_backward(tokens, d_out, 1.7, whole);
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 4}, {9, 2}, {4, 3}, {10, 1}}) {
      Block some(start.narrow(0, first, count).clone());
      embedding_backward(tokens, d_out, 1.7, some.view, first);
      EXPECT_TRUE(testing::same_bits(some.view, whole.narrow(0, first, count)) && some.intact());
    }
  });
}

TEST(Embedding, refuses_tokens_outside_the_table) {
  const at::Tensor tokens = testing::integers(4, 5, 1), table = testing::normal({5, 8}, at::kFloat, 2);
  at::Tensor out = at::empty({4, 8}, at::kFloat);
  EXPECT_THROW(embedding_forward(tokens + 5, table, 1, out), Error);
  EXPECT_THROW(embedding_forward(tokens - 5, table, 1, out), Error);
  EXPECT_THROW(embedding_forward(tokens.narrow(0, 0, 3), table, 1, out), Error);
  EXPECT_NO_THROW(embedding_forward(tokens, table, 1, out));
}

}  // namespace
}  // namespace luthier
