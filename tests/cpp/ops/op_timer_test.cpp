#include "luthier/ops/op_timer.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "dense_cases.h"
#include "luthier/ops/adamw.h"
#include "luthier/ops/attention.h"
#include "luthier/ops/embedding.h"
#include "luthier/ops/gated.h"
#include "luthier/ops/linear.h"
#include "luthier/ops/rms_norm.h"
#include "luthier/ops/rope.h"
#include "luthier/ops/token_logprob.h"

namespace luthier {
namespace {

using testing::normal;

std::map<std::string, OpTotals> timed(const std::function<void()>& body) {
  start_op_timing();
  body();
  stop_op_timing();
  return op_totals();
}

/// The totals of the only operation that `body` calls, whose name is this.
OpTotals only(const std::string& name, const std::function<void()>& body) {
  const auto totals = timed(body);
  EXPECT_EQ(totals.size(), 1u);
  const auto found = totals.find(name);
  EXPECT_NE(found, totals.end()) << name;
  return found == totals.end() ? OpTotals{} : found->second;
}

void expect_work(const OpTotals& totals, double flops, double bytes) {
  EXPECT_EQ(totals.calls, 1);
  EXPECT_GT(totals.seconds, 0);
  EXPECT_EQ(totals.flops, flops);
  EXPECT_EQ(totals.bytes, bytes);
}

OpWork nothing() { return {}; }

TEST(OpTimer, products_count_their_operations_and_operands) {
  testing::on_every_path([](at::ScalarType type) {
    const int64_t size = type == at::kFloat ? 4 : 2;
    const at::Tensor x = normal({5, 7}, type, 1), weight = normal({3, 7}, type, 2), bias = normal({3}, type, 3);
    at::Tensor out = normal({5, 3}, type, 4), d_x = normal({5, 7}, type, 5);
    at::Tensor d_weight = at::zeros({3, 7}), d_bias = at::zeros({3});
    expect_work(only("linear", [&] { linear_forward(x, weight, bias, out); }), 2 * 5 * 7 * 3 + 15,
                size * (35 + 21 + 3 + 15));
    expect_work(only("linear", [&] { linear_forward(x, weight, {}, out, /*accumulate=*/true); }), 2 * 5 * 7 * 3,
                size * (35 + 21 + 2 * 15));
    expect_work(only("linear d_input", [&] { linear_backward_input(out, weight, d_x); }), 2 * 5 * 7 * 3,
                size * (15 + 21 + 35));
    expect_work(only("linear d_weight", [&] { linear_backward_weight(out, x, 1, d_weight); }), 2 * 5 * 7 * 3,
                size * (15 + 35) + 4 * 2 * 21);
    expect_work(only("linear d_bias", [&] { linear_backward_bias(out, d_bias); }), 15, size * 15 + 4 * 2 * 3);
  });
}

TEST(OpTimer, the_head_counts_its_logits_again_in_backward) {
  testing::on_every_path([](at::ScalarType type) {
    const int64_t size = type == at::kFloat ? 4 : 2;
    const at::Tensor hidden = normal({5, 8}, type, 1), head = normal({11, 8}, type, 2);
    const at::Tensor targets = testing::integers(5, 11, 3);
    at::Tensor log_probs = at::empty({5}), log_sum_exp = at::empty({5}), d_hidden = at::empty_like(hidden);
    at::Tensor d_head = at::zeros({11, 8}), logits = at::empty({5, 11});
    expect_work(only("token_logprob", [&] { token_logprob_forward(hidden, head, targets, 1, log_probs, log_sum_exp); }),
                2 * 5 * 8 * 11, size * (40 + 88) + 4 * 15);
    const at::Tensor d_log_probs = normal({5}, at::kFloat, 4);
    const auto backward = [&](const at::Tensor& gradient) {
      token_logprob_backward(hidden, head, targets, 1, log_sum_exp, d_log_probs, d_hidden, gradient);
    };
    expect_work(only("token_logprob backward", [&] { backward({}); }), 2 * (2 * 5 * 8 * 11),
                size * (40 + 88 + 40) + 4 * 15);
    expect_work(only("token_logprob backward", [&] { backward(d_head); }), 3 * (2 * 5 * 8 * 11),
                size * (40 + 88 + 40) + 4 * 15 + 2 * 4 * 88);
    expect_work(only("logits", [&] { logits_forward(hidden, head, 1, logits); }), 2 * 5 * 8 * 11,
                size * (40 + 88) + 4 * 55);
  });
}

TEST(OpTimer, attention_counts_the_pairs_that_are_needed) {
  // A root of 10 rows and leaves of 100 and 3: 55 pairs, 100 * 10 + 5050, and 3 * 10 + 6.
  const AttentionPlan plan = plan_attention({{0, 10, {}, {0, 10, 0}, {}},
                                             {10, 110, {{0, 10, 0}}, {10, 110, 10}, {}},
                                             {110, 113, {{0, 10, 0}}, {110, 113, 10}, {}}},
                                            {4, 2, 8, 0.5, 0, 0}, 113);
  constexpr int64_t kPairs = 55 + 6050 + 36;
  testing::on_every_path([&](at::ScalarType type) {
    const int64_t size = type == at::kFloat ? 4 : 2;
    const at::Tensor q = normal({113, 4, 8}, type, 1), k = normal({113, 2, 8}, type, 2),
                     v = normal({113, 2, 8}, type, 3);
    at::Tensor out = at::empty_like(q), log_sum_exp = at::empty({113, 4});
    at::Tensor d_q = at::empty_like(q), d_k = at::empty_like(k), d_v = at::empty_like(v);
    const int64_t query = 113 * 4 * 8, key = 113 * 2 * 8;
    expect_work(only("attention", [&] { attention_forward(plan, q, k, v, out, log_sum_exp); }),
                2 * (2 * 4 * 8 * kPairs), size * (2 * query + 2 * key) + 4 * 113 * 4);
    expect_work(
        only("attention backward", [&] { attention_backward(plan, q, k, v, out, log_sum_exp, q, d_q, d_k, d_v); }),
        5 * (2 * 4 * 8 * kPairs), size * (4 * query + 4 * key) + 4 * 113 * 4);
  });
}

TEST(OpTimer, every_other_operation_is_recorded_under_its_name) {
  testing::on_every_path([](at::ScalarType type) {
    const int64_t size = type == at::kFloat ? 4 : 2;
    at::Tensor x = normal({6, 8}, type, 1), out = at::empty_like(x), d_x = at::zeros_like(x), rstd = at::empty({6});
    const at::Tensor weight = normal({8}, type, 2);
    expect_work(only("rms_norm", [&] { rms_norm_forward(x, weight, 1e-5, out, rstd); }), 4 * 48,
                size * (48 + 8 + 48) + 24);
    expect_work(only("add_rms_norm", [&] { add_rms_norm_forward(x, d_x, weight, 1e-5, out, rstd); }), 5 * 48,
                size * (4 * 48 + 8) + 24);
    expect_work(only("rms_norm backward", [&] { rms_norm_backward(out, x, weight, rstd, d_x, {}); }), 7 * 48,
                size * (4 * 48 + 8) + 24);
    at::Tensor gated = at::empty({6, 4}, x.options());
    expect_work(only("gated", [&] { gated_forward(x, Activation::silu, gated); }), 4 * 24, size * (48 + 24));
    expect_work(only("gated backward", [&] { gated_backward(x, gated, Activation::silu, out, {}); }), 12 * 24,
                size * (48 + 24 + 48));
    at::Tensor heads = normal({6, 2, 4}, type, 3);
    const at::Tensor positions = at::arange(6, at::kInt), angles = normal({9, 2}, at::kFloat, 4);
    const double rope_bytes = size * 2 * 48 + 24 + 4 * 2 * 6 * 2;
    expect_work(only("rope", [&] { rope_forward(heads, positions, angles, angles); }), 3 * 48, rope_bytes);
    expect_work(only("rope backward", [&] { rope_backward(heads, positions, angles, angles); }), 3 * 48, rope_bytes);
    const at::Tensor tokens = testing::integers(6, 10, 5), table = normal({10, 8}, type, 6);
    at::Tensor d_table = at::zeros({10, 8});
    expect_work(only("embedding", [&] { embedding_forward(tokens, table, 1, out); }), 0, size * 2 * 48 + 24);
    expect_work(only("embedding backward", [&] { embedding_backward(tokens, out, 1, d_table); }), 2 * 48,
                size * 48 + 24 + 4 * 2 * 48);
  });
  const at::Tensor gradient = normal({10}, at::kFloat, 1);
  at::Tensor parameter = normal({10}, at::kFloat, 2), first = at::zeros({10}), second = at::zeros({10});
  expect_work(only("adamw", [&] { adamw_step(parameter, gradient, first, second, {}, 1, 1); }), 160, 4 * 70);
  expect_work(only("squared_norm", [&] { squared_norm(gradient); }), 20, 40);
}

TEST(OpTimer, nothing_is_recorded_or_asked_for_while_it_is_off) {
  const at::Tensor x = normal({5, 7}, at::kFloat, 1), weight = normal({3, 7}, at::kFloat, 2);
  at::Tensor out = at::empty({5, 3});
  timed([&] { linear_forward(x, weight, {}, out); });
  linear_forward(x, weight, {}, out);
  bool asked = false;
  {
    const OpTimer timer("other", [&] {
      asked = true;
      return OpWork{};
    });
  }
  EXPECT_FALSE(asked);
  const auto totals = op_totals();
  EXPECT_EQ(totals.size(), 1u);
  EXPECT_EQ(totals.at("linear").calls, 1);
  EXPECT_TRUE(timed([] {}).empty());  // and a new start forgets
}

TEST(OpTimer, timing_changes_no_result) {
  testing::on_every_path([](at::ScalarType type) {
    const at::Tensor x = normal({33, 64}, type, 1), weight = normal({48, 64}, type, 2);
    at::Tensor off = at::empty({33, 48}, x.options()), on = at::empty_like(off);
    linear_forward(x, weight, {}, off);
    timed([&] { linear_forward(x, weight, {}, on); });
    EXPECT_TRUE(testing::same_bits(on, off));
  });
}

TEST(OpTimer, an_operation_within_another_is_part_of_it) {
  const auto totals = timed([] {
    const OpTimer outer("outer", [] { return OpWork{1, 2}; });
    const OpTimer inner("inner", [] { return OpWork{10, 20}; });
    at::parallel_for(0, 64, 1, [](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) const OpTimer unit("unit", nothing);
    });
  });
  ASSERT_EQ(totals.size(), 1u);
  EXPECT_EQ(totals.at("outer").flops, 1);
  EXPECT_EQ(totals.at("outer").bytes, 2);
}

TEST(OpTimer, an_operation_that_throws_is_left_behind) {
  const auto totals = timed([] {
    EXPECT_THROW(
        {
          const OpTimer failing("failing", nothing);
          throw std::runtime_error("stop");
        },
        std::runtime_error);
    const OpTimer next("next", nothing);
  });
  EXPECT_EQ(totals.count("next"), 1u);
}

TEST(OpTimer, labels_tell_calls_apart_within_their_scope) {
  const auto totals = timed([] {
    const OpLabel outer("weights");
    {
      const OpLabel inner("low-rank");
      const OpTimer timer("linear", nothing);
    }
    for (int i = 0; i < 2; ++i) const OpTimer timer("linear", nothing);
  });
  ASSERT_EQ(totals.size(), 2u);
  EXPECT_EQ(totals.at("linear (low-rank)").calls, 1);
  EXPECT_EQ(totals.at("linear (weights)").calls, 2);
}

TEST(OpTimer, threads_of_a_program_are_all_counted) {
  const auto totals = timed([] {
    const OpLabel here("here");  // of this thread alone
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < 500; ++i) const OpTimer timer("op", [] { return OpWork{2, 3}; });
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  ASSERT_EQ(totals.size(), 1u);
  EXPECT_EQ(totals.at("op").calls, 2000);
  EXPECT_EQ(totals.at("op").flops, 4000);
  EXPECT_EQ(totals.at("op").bytes, 6000);
}

}  // namespace
}  // namespace luthier
