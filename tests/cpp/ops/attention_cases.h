// Random forests with their attention computed the slow and obvious way, for the tests of attention.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "luthier/ops/attention_plan.h"

namespace luthier::testing {

/// A segment of a forest: its parent (-1 for a root) and its length.
struct Node {
  int32_t parent = -1, length = 0;
};

struct AttentionCase {
  std::string name;
  std::vector<Node> nodes;
  AttentionShape shape;
  int32_t query_every = 1;  // only every n-th row of a segment is a query
};

/// A case's rows [begin, end) in the keys, by node.
std::vector<KeyRange> ranges_of(const AttentionCase& c);

/// The spans of a case: one per node that has a query.
std::vector<AttentionSpan> spans_of(const AttentionCase& c);

/// q, k and v as columns of one random [rows, (heads + 2 key heads) head_size] buffer, so rows are strided.
struct AttentionInputs {
  at::Tensor q, k, v, d_out;
};
AttentionInputs random_inputs(const AttentionCase& c, at::ScalarType type, uint64_t seed);

/// Forward in double and, by torch.autograd, the gradients of sum(out * d_out).
struct AttentionTruth {
  at::Tensor out, log_sum_exp, d_q, d_k, d_v;
};
AttentionTruth truth_of(const AttentionCase& c, const AttentionInputs& inputs);

/// Everything that the operation under test computes.
AttentionTruth computed(const AttentionCase& c, const AttentionInputs& inputs);

/// The Frobenius norm of the difference over that of the truth.
double relative_error(const at::Tensor& value, const at::Tensor& truth);

/// Odd shapes: single rows, head sizes, groups, branching of depth three, subsets of rows, windows and soft caps.
std::vector<AttentionCase> attention_cases();

}  // namespace luthier::testing
