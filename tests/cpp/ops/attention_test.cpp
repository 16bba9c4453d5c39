#include "luthier/ops/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "attention_cases.h"
#include "luthier/base/error.h"
#include "luthier/ops/instruction_set.h"

namespace luthier {
namespace {

using testing::AttentionCase;
using testing::AttentionInputs;
using testing::AttentionTruth;

std::vector<InstructionSet> instruction_sets() {
  const InstructionSet machine = instruction_set();
  std::vector<InstructionSet> sets;
  for (int set = 0; set <= static_cast<int>(machine); ++set) sets.push_back(static_cast<InstructionSet>(set));
  return sets;
}

class Forced {
 public:
  explicit Forced(InstructionSet set) : before_(instruction_set()) { force_instruction_set(set); }
  ~Forced() { force_instruction_set(before_); }

 private:
  InstructionSet before_;
};

struct Tolerance {
  double out, log_sum_exp, gradient;
};

void expect_truth(const AttentionCase& c, const AttentionInputs& inputs, const AttentionTruth& truth,
                  Tolerance tolerance) {
  const AttentionTruth result = testing::computed(c, inputs);
  EXPECT_LE(testing::relative_error(result.out, truth.out), tolerance.out);
  EXPECT_LE(testing::relative_error(result.log_sum_exp, truth.log_sum_exp), tolerance.log_sum_exp);
  EXPECT_LE(testing::relative_error(result.d_q, truth.d_q), tolerance.gradient);
  EXPECT_LE(testing::relative_error(result.d_k, truth.d_k), tolerance.gradient);
  EXPECT_LE(testing::relative_error(result.d_v, truth.d_v), tolerance.gradient);
}

TEST(Attention, agrees_with_autograd_in_fp64) {
  for (const AttentionCase& c : testing::attention_cases()) {
    SCOPED_TRACE(c.name);
    const AttentionInputs inputs = testing::random_inputs(c, at::kDouble, 1);
    expect_truth(c, inputs, testing::truth_of(c, inputs), {1e-12, 1e-12, 1e-12});
  }
}

TEST(Attention, agrees_with_autograd_in_fp32_on_every_instruction_set) {
  for (const AttentionCase& c : testing::attention_cases()) {
    const AttentionInputs inputs = testing::random_inputs(c, at::kFloat, 2);
    const AttentionTruth truth = testing::truth_of(c, inputs);
    for (const InstructionSet set : instruction_sets()) {
      SCOPED_TRACE(c.name + " on " + name_of(set));
      const Forced forced(set);
      expect_truth(c, inputs, truth, {2e-6, 2e-6, 5e-6});
    }
  }
}

TEST(Attention, agrees_with_autograd_to_the_rounding_of_bf16_on_every_instruction_set) {
  for (const AttentionCase& c : testing::attention_cases()) {
    const AttentionInputs inputs = testing::random_inputs(c, at::kBFloat16, 3);
    const AttentionTruth truth = testing::truth_of(c, inputs);
    for (const InstructionSet set : instruction_sets()) {
      SCOPED_TRACE(c.name + " on " + name_of(set));
      const Forced forced(set);
      expect_truth(c, inputs, truth, {4e-3, 1e-5, 8e-3});
    }
  }
}

/// The rows of `nodes` from a root to one node, which is last.
std::vector<int32_t> path_to(const std::vector<testing::Node>& nodes, int32_t node) {
  std::vector<int32_t> path;
  for (int32_t at = node; at >= 0; at = nodes[static_cast<size_t>(at)].parent) path.insert(path.begin(), at);
  return path;
}

TEST(Attention, forest_equals_its_sequences_one_by_one) {
  const AttentionCase forest{
      "forest", {{-1, 70}, {0, 40}, {1, 33}, {1, 100}, {0, 65}, {4, 7}}, {6, 2, 64, 0.125, 0, 0}};
  const std::vector<KeyRange> ranges = testing::ranges_of(forest);
  for (const InstructionSet set : instruction_sets()) {
    SCOPED_TRACE(name_of(set));
    const Forced forced(set);
    const AttentionInputs inputs = testing::random_inputs(forest, at::kFloat, 4);
    const AttentionTruth together = testing::computed(forest, inputs);
    AttentionTruth sums{together.out, together.log_sum_exp, at::zeros_like(together.d_q), at::zeros_like(together.d_k),
                        at::zeros_like(together.d_v)};
    for (int32_t node = 0; node < static_cast<int32_t>(forest.nodes.size()); ++node) {
      // The sequence that ends with this node; only its own rows have a gradient.
      AttentionCase sequence{"sequence", {{-1, 0}}, forest.shape};
      std::vector<at::Tensor> rows;
      for (const int32_t part : path_to(forest.nodes, node)) {
        const KeyRange& range = ranges[static_cast<size_t>(part)];
        rows.push_back(at::arange(range.begin, range.end));
        sequence.nodes[0].length += range.end - range.begin;
      }
      const at::Tensor index = at::cat(rows), own = rows.back();
      AttentionInputs alone{inputs.q.index_select(0, index), inputs.k.index_select(0, index),
                            inputs.v.index_select(0, index), at::zeros_like(inputs.q.index_select(0, index))};
      alone.d_out.slice(0, alone.d_out.size(0) - own.size(0)).copy_(inputs.d_out.index_select(0, own));
      const AttentionTruth result = testing::computed(sequence, alone);
      const auto tail = [&](const at::Tensor& x) { return x.slice(0, x.size(0) - own.size(0)); };
      EXPECT_LE(testing::relative_error(together.out.index_select(0, own), tail(result.out).to(at::kDouble)), 1e-6);
      sums.d_q.index_add_(0, index, result.d_q);
      sums.d_k.index_add_(0, index, result.d_k);
      sums.d_v.index_add_(0, index, result.d_v);
    }
    EXPECT_LE(testing::relative_error(together.d_q, sums.d_q.to(at::kDouble)), 3e-6);
    EXPECT_LE(testing::relative_error(together.d_k, sums.d_k.to(at::kDouble)), 3e-6);
    EXPECT_LE(testing::relative_error(together.d_v, sums.d_v.to(at::kDouble)), 3e-6);
  }
}

TEST(Attention, gives_the_same_bits_again) {
  AttentionCase c{"prefix", {{-1, 150}}, {9, 3, 64, 0.125, 0, 0}};
  for (int32_t i = 0; i < 12; ++i) c.nodes.push_back({0, 20 + i});
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const InstructionSet set : instruction_sets()) {
      SCOPED_TRACE(name_of(set));
      const Forced forced(set);
      const AttentionInputs inputs = testing::random_inputs(c, type, 5);
      const AttentionTruth first = testing::computed(c, inputs);
      for (int again = 0; again < 2; ++again) {
        const AttentionTruth second = testing::computed(c, inputs);
        EXPECT_TRUE(at::equal(first.out, second.out));
        EXPECT_TRUE(at::equal(first.log_sum_exp, second.log_sum_exp));
        EXPECT_TRUE(at::equal(first.d_q, second.d_q));
        EXPECT_TRUE(at::equal(first.d_k, second.d_k));
        EXPECT_TRUE(at::equal(first.d_v, second.d_v));
      }
    }
  }
}

TEST(Attention, keys_without_a_query_get_zero_gradients) {
  const AttentionPlan plan = plan_attention({{0, 3, {{2, 7, 0}}, {10, 20, 5}, {}}}, {2, 1, 16, 0.25, 0, 0}, 25);
  for (const InstructionSet set : instruction_sets()) {
    SCOPED_TRACE(name_of(set));
    const Forced forced(set);
    const at::Tensor q = at::randn({3, 2, 16}), k = at::randn({25, 1, 16}), v = at::randn({25, 1, 16});
    at::Tensor out = at::empty_like(q), log_sum_exp = at::empty({3, 2}), d_q = at::empty_like(q);
    at::Tensor d_k = at::full({25, 1, 16}, 7.0), d_v = at::full({25, 1, 16}, 7.0);
    attention_forward(plan, q, k, v, out, log_sum_exp);
    attention_backward(plan, q, k, v, out, log_sum_exp, at::randn({3, 2, 16}), d_q, d_k, d_v);
    for (const auto& [begin, end] : {std::pair{0, 2}, std::pair{7, 10}, std::pair{20, 25}}) {
      EXPECT_EQ(d_k.slice(0, begin, end).abs().max().item<float>(), 0);
      EXPECT_EQ(d_v.slice(0, begin, end).abs().max().item<float>(), 0);
    }
    EXPECT_GT(d_v.slice(0, 10, 20).abs().min().item<float>(), 0);
    EXPECT_GT(d_v.slice(0, 2, 7).abs().min().item<float>(), 0);
  }
}

TEST(Attention, decodes_many_spans_of_one_query_against_a_cache) {
  // 70 rows share a prompt; each has its own run of the cache, of which the query is the last row.
  const AttentionShape shape{9, 3, 64, 0.125, 0, 0};
  std::vector<AttentionSpan> spans;
  for (int32_t i = 0; i < 70; ++i) {
    const int32_t begin = 100 + 50 * i, end = begin + 1 + i % 40;
    spans.push_back({i, i + 1, {{3, 90, 0}}, {begin, end, 87}, {}});
  }
  const AttentionPlan plan = plan_attention(spans, shape, 4000);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor q = at::randn({70, 9, 64}).to(type), k = at::randn({4000, 3, 64}).to(type);
    const at::Tensor v = at::randn({4000, 3, 64}).to(type);
    at::Tensor truth = at::empty({70, 9, 64}, at::kDouble), truth_sum = at::empty({70, 9}, at::kDouble);
    attention_forward(plan, q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble), truth, truth_sum);
    // Rows that belong to nobody were never written.
    for (const at::Tensor& x : {k, v}) x.slice(0, 3900).fill_(std::numeric_limits<float>::quiet_NaN());
    for (const InstructionSet set : instruction_sets()) {
      SCOPED_TRACE(name_of(set));
      const Forced forced(set);
      at::Tensor out = at::empty_like(q), log_sum_exp = at::empty({70, 9});
      attention_forward(plan, q, k, v, out, log_sum_exp);
      EXPECT_LE(testing::relative_error(out, truth), type == at::kFloat ? 1e-6 : 4e-3);
      EXPECT_LE(testing::relative_error(log_sum_exp, truth_sum), type == at::kFloat ? 1e-6 : 1e-5);
    }
  }
}

TEST(Attention, propagates_a_nan_and_nothing_from_other_segments) {
  const AttentionCase c{"two_roots", {{-1, 80}, {-1, 50}}, {3, 1, 64, 0.125, 0, 0}};
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const InstructionSet set : instruction_sets()) {
      SCOPED_TRACE(name_of(set));
      const Forced forced(set);
      const AttentionInputs inputs = testing::random_inputs(c, type, 6);
      inputs.k[10][0][5] = std::numeric_limits<float>::quiet_NaN();
      const AttentionTruth result = testing::computed(c, inputs);
      EXPECT_TRUE(result.out.slice(0, 10, 80).isnan().any(2).all().item<bool>());
      EXPECT_FALSE(result.out.slice(0, 80).isnan().any().item<bool>());
      // The reference multiplies hidden scores by zero, which a NaN survives; tiles do not touch them.
      if (set == InstructionSet::reference) continue;
      EXPECT_FALSE(result.d_k.slice(0, 80).isnan().any().item<bool>());
    }
  }
}

TEST(Attention, refuses_tensors_that_do_not_fit_the_plan) {
  const AttentionPlan plan = plan_attention({{0, 4, {}, {0, 4, 0}, {}}}, {2, 1, 8, 0.5, 0, 0}, 4);
  const at::Tensor q = at::randn({4, 2, 8}), k = at::randn({4, 1, 8});
  at::Tensor out = at::empty_like(q), log_sum_exp = at::empty({4, 2});
  EXPECT_NO_THROW(attention_forward(plan, q, k, k, out, log_sum_exp));
  EXPECT_THROW(attention_forward(plan, q.slice(0, 1), k, k, out, log_sum_exp), Error);
  EXPECT_THROW(attention_forward(plan, q, q, k, out, log_sum_exp), Error);
  EXPECT_THROW(attention_forward(plan, q, k.to(at::kBFloat16), k, out, log_sum_exp), Error);
  EXPECT_THROW(attention_forward(plan, at::randn({2, 4, 8}).transpose(0, 1), k, k, out, log_sum_exp), Error);
  at::Tensor half = at::empty({4, 2}, at::kBFloat16);
  EXPECT_THROW(attention_forward(plan, q, k, k, out, half), Error);
}

}  // namespace
}  // namespace luthier
