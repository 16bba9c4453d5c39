#include "luthier/generate/decoding_queue.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "luthier/base/error.h"
#include "luthier/generate/distribution.h"
#include "luthier/generate/sample.h"
#include "luthier/model/forest_input.h"
#include "luthier/ops/token_logprob.h"

namespace luthier {
namespace {

const DecodingLimits& checked(const DecodingLimits& limits) {
  if (limits.max_rows < 1) fail_input("max_rows is ", limits.max_rows, ": it must be at least 1");
  if (limits.cache_tokens < 2 || limits.cache_tokens > std::numeric_limits<int32_t>::max())
    fail_input("cache_tokens is ", limits.cache_tokens, ": it must be 2 to ", std::numeric_limits<int32_t>::max());
  if (limits.step_tokens < 1) fail_input("step_tokens is ", limits.step_tokens, ": it must be at least 1");
  return limits;
}

template <class Value>
at::Tensor tensor_of(const std::vector<Value>& values, at::ScalarType type) {
  at::Tensor out = at::empty({static_cast<int64_t>(values.size())}, type);
  std::copy(values.begin(), values.end(), out.data_ptr<Value>());
  return out;
}

}  // namespace

// What one pass computes, as it is put together.
struct DecodingQueue::Step {
  std::vector<int32_t> tokens, positions;
  std::vector<int64_t> cache_rows;
  std::vector<AttentionSpan> spans;           // of all rows
  std::vector<AttentionSpan> selected_spans;  // of the rows whose hidden state is wanted
  std::vector<int64_t> selected;
  std::vector<size_t> sequences;  // the sequence that each selected row belongs to

  void add(int32_t token, int32_t position, int32_t cache_row) {
    tokens.push_back(token);
    positions.push_back(position);
    cache_rows.push_back(cache_row);
  }
  int32_t rows() const { return static_cast<int32_t>(tokens.size()); }
  // The last row added is the end of what the sequence has; `own` are the keys of its segment up to it.
  void select(size_t sequence, const std::vector<KeyRange>& ancestors, const KeyRange& own) {
    const auto query = static_cast<int32_t>(selected.size());
    selected.push_back(rows() - 1);
    sequences.push_back(sequence);
    selected_spans.push_back({query, query + 1, ancestors, own, {}});
  }
};

DecodingQueue::DecodingQueue(Decoder& decoder, const DecodingLimits& limits)
    : decoder_(decoder),
      limits_(checked(limits)),
      pass_(decoder),
      cache_(decoder, limits.cache_tokens),
      tree_(limits.cache_tokens) {}

void DecodingQueue::check(const DecodingRequest& request) const {
  const int64_t vocabulary = decoder_.config.vocabulary_size;
  if (request.prompt.empty()) fail_input("the prompt has no tokens");
  for (const int32_t token : request.prompt) {
    if (token < 0 || token >= vocabulary)
      fail_input("the prompt has the token ", token, ", and the model has ", vocabulary);
  }
  if (request.max_new_tokens < 1) fail_input("max_new_tokens is ", request.max_new_tokens, ": it must be at least 1");
  if (!(request.temperature >= 0 && request.temperature <= std::numeric_limits<float>::max()))
    fail_input("temperature is ", request.temperature, ": it must be zero or above");
  if (!(request.top_p > 0 && request.top_p <= 1))
    fail_input("top_p is ", request.top_p, ": it must be above 0 and at most 1");
  if (request.logprobs < -1 || request.logprobs > vocabulary)
    fail_input("logprobs is ", request.logprobs, ": it must be -1 to ", vocabulary);
  const auto length = static_cast<int64_t>(request.prompt.size());
  const int64_t most = std::min(decoder_.config.max_positions, limits_.cache_tokens);
  if (request.max_new_tokens > most - length) {
    fail_input("the prompt has ", length, " tokens, and ", request.max_new_tokens, " more would pass the ", most,
               " that there is room for");
  }
}

int64_t DecodingQueue::add(DecodingRequest request) {
  check(request);
  waiting_.push_back({next_id_, std::move(request), {}});
  return next_id_++;
}

void DecodingQueue::allow(int64_t id, const std::vector<int32_t>& allowed) {
  const int64_t words = (decoder_.config.vocabulary_size + 31) / 32;
  if (static_cast<int64_t>(allowed.size()) < words)
    fail_input("allowed has ", allowed.size(), " words, and the vocabulary needs ", words);
  for (Waiting& one : waiting_)
    if (one.id == id) one.allowed = allowed;
  for (Sequence& one : running_)
    if (one.id == id) one.allowed = allowed;
}

void DecodingQueue::cancel(int64_t id) {
  std::erase_if(waiting_, [&](const Waiting& one) { return one.id == id; });
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i].id == id) return finish(i);
  }
}

// Takes a sequence out; the keys and values of its prompt and answer stay until their rows are needed.
void DecodingQueue::finish(size_t index) {
  Sequence& sequence = running_[index];
  std::vector<int32_t>& answer = sequence.answer;
  if (!answer.empty()) answer.pop_back();  // the newest token was chosen and not computed
  tree_.finish(sequence.leaf, answer, sequence.request.max_new_tokens);
  running_.erase(running_.begin() + static_cast<int64_t>(index));
}

void DecodingQueue::begin_waiting() {
  while (!waiting_.empty() && running() < limits_.max_rows) {
    Waiting& first = waiting_.front();
    // One in front that has no room keeps its place, so that none waits for ever.
    PrefixNode* leaf = tree_.add(first.request.prompt, first.request.max_new_tokens);
    if (leaf == nullptr) return;
    reused_tokens_ += leaf->position;
    const uint64_t seed = first.request.seed;
    running_.push_back({first.id, std::move(first.request), leaf, Random(seed, 0), {}, std::move(first.allowed)});
    waiting_.pop_front();
  }
}

// A part of the prompts that are not computed yet, at most step_tokens, in the order in which they were begun.
void DecodingQueue::plan_prompts(Step& step) {
  int64_t left = limits_.step_tokens;
  for (size_t i = 0; i < running_.size(); ++i) {
    if (!running_[i].answer.empty()) continue;
    for (PrefixNode* node : PrefixTree::path(running_[i].leaf)) {
      const int32_t first = node->computed;  // counted before the pass: rows of this step see each other
      const int32_t count = static_cast<int32_t>(std::min<int64_t>(node->size() - first, left));
      if (count > 0) {
        const std::vector<KeyRange> ancestors = PrefixTree::ancestors(*node);
        const KeyRange own{node->begin, node->begin + first + count, node->position};
        step.spans.push_back({step.rows(), step.rows() + count, ancestors, own, {}});
        for (int32_t j = first; j < first + count; ++j) step.add(node->tokens[j], node->position + j, node->begin + j);
        node->computed += count;
        computed_tokens_ += count;
        left -= count;
        if (node == running_[i].leaf && node->computed == node->size()) step.select(i, ancestors, own);
      }
      if (node->computed < node->size()) return;
    }
  }
}

// The newest token of every answer. Answers whose prompts have the same ancestors stand together, so that attention
// meets those once.
void DecodingQueue::plan_answers(Step& step) {
  std::vector<size_t> order;
  for (size_t i = 0; i < running_.size(); ++i)
    if (!running_[i].answer.empty()) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const PrefixNode &left = *running_[a].leaf->parent, &right = *running_[b].leaf->parent;
    return std::pair(left.begin, left.size()) < std::pair(right.begin, right.size());
  });
  for (const size_t i : order) {
    const Sequence& sequence = running_[i];
    const PrefixNode& leaf = *sequence.leaf;
    // The answer stands right behind the leaf, so both are one run of keys.
    const int32_t offset = leaf.size() + static_cast<int32_t>(sequence.answer.size()) - 1;
    const KeyRange own{leaf.begin, leaf.begin + offset + 1, leaf.position};
    std::vector<KeyRange> ancestors = PrefixTree::ancestors(leaf);
    step.add(sequence.answer.back(), leaf.position + offset, leaf.begin + offset);
    step.select(i, ancestors, own);
    step.spans.push_back({step.rows() - 1, step.rows(), std::move(ancestors), own, {}});
  }
}

std::vector<DecodedToken> DecodingQueue::step() {
  begin_waiting();
  Step step;
  plan_prompts(step);
  plan_answers(step);
  if (step.rows() == 0) return {};

  ForestInput input;
  input.tokens = tensor_of(step.tokens, at::kInt);
  input.positions = tensor_of(step.positions, at::kInt);
  input.most_positions = *std::max_element(step.positions.begin(), step.positions.end()) + 1;
  input.plans = plan_windows(step.spans, decoder_.config, cache_.rows);
  // Where nothing is selected the first row is, since to a pass no selection means all rows.
  const bool none = step.selected.empty();
  if (none) {
    AttentionSpan first = step.spans.front();
    first.own.end -= first.query_end - 1;
    first.query_end = 1;
    step.selected_spans.push_back(std::move(first));
    step.selected.push_back(0);
  }
  input.selected = tensor_of(step.selected, at::kLong);
  input.selected_plans = plan_windows(step.selected_spans, decoder_.config, cache_.rows);
  const at::Tensor hidden = pass_.forward_cached(input, cache_, tensor_of(step.cache_rows, at::kLong));
  if (none) return {};

  at::Tensor logits = at::empty({hidden.size(0), decoder_.config.vocabulary_size}, at::kFloat);
  logits_forward(hidden, decoder_.head.value, decoder_.config.logit_map(), logits);
  std::vector<DecodedToken> tokens;
  std::vector<int64_t> finished;
  for (size_t row = 0; row < step.sequences.size(); ++row) {
    Sequence& sequence = running_[step.sequences[row]];
    tokens.push_back(choose(sequence, logits.data_ptr<float>() + static_cast<int64_t>(row) * logits.size(1)));
    if (tokens.back().finish != Finish::no) finished.push_back(sequence.id);
  }
  for (const int64_t id : finished) cancel(id);
  return tokens;
}

DecodedToken DecodingQueue::choose(Sequence& sequence, float* logits) {
  const DecodingRequest& request = sequence.request;
  const std::span<float> row{logits, static_cast<size_t>(decoder_.config.vocabulary_size)};
  DecodedToken result;
  result.id = sequence.id;
  // A row is narrowed in place, so what is told of it is looked up before.
  std::vector<float> whole;
  double total = 0;
  if (request.logprobs >= 0) {
    whole.assign(row.begin(), row.end());
    total = log_sum_exp(whole);
    for (const int32_t token : most_probable_of(whole, static_cast<size_t>(request.logprobs)))
      result.likely.emplace_back(token, static_cast<float>(whole[token] - total));
  }
  if (!sequence.allowed.empty() && !keep_allowed(row, sequence.allowed)) result.finish = Finish::nothing_allowed;
  sequence.allowed.clear();
  if (result.finish == Finish::no) {
    if (request.temperature > 0) {
      if (request.top_p < 1) keep_nucleus(row, request.temperature, request.top_p);
      result.token = draw(row, request.temperature, sequence.random);
    } else {
      result.token = most_probable(row);
    }
    if (request.logprobs >= 0) result.logprob = static_cast<float>(whole[result.token] - total);
  }
  sequence.answer.push_back(result.token);
  const auto& ends = request.end_tokens;
  if (result.finish != Finish::no) return result;
  if (std::find(ends.begin(), ends.end(), result.token) != ends.end()) {
    result.finish = Finish::end;
  } else if (static_cast<int64_t>(sequence.answer.size()) == request.max_new_tokens) {
    result.finish = Finish::length;
  }
  return result;
}

}  // namespace luthier
