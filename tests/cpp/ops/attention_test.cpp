#include "luthier/ops/attention.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace luthier
