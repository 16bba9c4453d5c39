#include "luthier/generate/session.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

#include "luthier/generate/sample.h"
#include "luthier/model/forest_input.h"
#include "luthier/ops/token_logprob.h"

namespace luthier {

GenerateSession::GenerateSession(Decoder& decoder, DecoderPass& pass, KeyValueCache& cache,
                                 const GenerateSettings& settings, std::span<const int64_t> prompts,
                                 const std::vector<std::vector<int32_t>>& all, Constraint* constraint)
    : decoder_(decoder), pass_(pass), cache_(cache), settings_(settings), constraint_(constraint) {
  std::vector<const std::vector<int32_t>*> rows;
  for (int64_t index : prompts) rows.push_back(&all[index]);
  std::vector<int32_t> leaves;
  forest_ = make_prompt_batch(rows, kMinimumSharedRows, &leaves);
  for (size_t i = 0; i < prompts.size(); ++i) {
    Sequence sequence{{},
                      static_cast<int32_t>(rows[i]->size()),
                      static_cast<int32_t>(forest_.rows() + i * settings.max_new_tokens),
                      prompts[i],
                      Random(settings.seed, static_cast<uint64_t>(prompts[i])),
                      {}};
    for (int32_t s = leaves[i]; s >= 0; s = forest_.segments[s].parent) {
      const Segment& segment = forest_.segments[s];
      sequence.prompt.push_back({segment.begin, segment.end, segment.position});
    }
    std::reverse(sequence.prompt.begin(), sequence.prompt.end());
    sequences_.push_back(std::move(sequence));
    active_.push_back(static_cast<int64_t>(i));
  }
}

void GenerateSession::prefill() {
  if (constraint_ != nullptr) constrain();
  // The last row of each prompt; prompts that are equal share it.
  std::vector<int64_t> last;
  for (const Sequence& sequence : sequences_) last.push_back(sequence.prompt.back().end - 1);
  std::vector<int64_t> selected = last;
  std::sort(selected.begin(), selected.end());
  selected.erase(std::unique(selected.begin(), selected.end()), selected.end());
  std::vector<int64_t> state_of;
  for (int64_t row : last) {
    state_of.push_back(std::lower_bound(selected.begin(), selected.end(), row) - selected.begin());
  }
  ForestInput input = make_forest_input(forest_, selected, decoder_.config);
  // The forest stands at the cache's start.
  for (AttentionPlan& plan : input.plans) plan.keys = cache_.rows;
  for (AttentionPlan& plan : input.selected_plans) plan.keys = cache_.rows;
  choose(pass_.forward_cached(input, cache_, at::arange(forest_.rows(), at::kLong)), state_of);
}

void GenerateSession::step() {
  const int64_t count = unfinished();
  ForestInput input;
  input.tokens = at::empty({count}, at::kInt);
  input.positions = at::empty({count}, at::kInt);
  at::Tensor rows = at::empty({count}, at::kLong);
  std::vector<AttentionSpan> spans;
  for (int64_t i = 0; i < count; ++i) {
    const Sequence& sequence = sequences_[active_[i]];
    const int32_t generated = static_cast<int32_t>(sequence.answer.size());
    const int32_t row = sequence.answer_begin + generated - 1;  // of the newest token, which is computed now
    const int32_t position = sequence.length + generated - 1;
    input.tokens.data_ptr<int32_t>()[i] = sequence.answer.back();
    input.positions.data_ptr<int32_t>()[i] = position;
    rows.data_ptr<int64_t>()[i] = row;
    input.most_positions = std::max<int64_t>(input.most_positions, position + 1);
    spans.push_back({static_cast<int32_t>(i),
                     static_cast<int32_t>(i + 1),
                     sequence.prompt,
                     {sequence.answer_begin, row + 1, sequence.length},
                     {}});
  }
  input.plans = plan_windows(spans, decoder_.config, cache_.rows);
  std::vector<int64_t> state_of(count);
  for (int64_t i = 0; i < count; ++i) state_of[i] = i;
  choose(pass_.forward_cached(input, cache_, rows), state_of);
}

void GenerateSession::choose(const at::Tensor& hidden, const std::vector<int64_t>& state_of) {
  at::Tensor logits = at::empty({hidden.size(0), decoder_.config.vocabulary_size}, at::kFloat);
  logits_forward(hidden, decoder_.head.value, decoder_.config.logit_map(), logits);
  std::vector<int64_t> unfinished;
  for (size_t i = 0; i < active_.size(); ++i) {
    Sequence& sequence = sequences_[active_[i]];
    const std::span<const float> row{logits.const_data_ptr<float>() + state_of[i] * logits.size(1),
                                     static_cast<size_t>(logits.size(1))};
    const int32_t token = next_token(sequence, row, i);
    if (token < 0 || is_end(token)) continue;
    sequence.answer.push_back(token);
    if (static_cast<int64_t>(sequence.answer.size()) < settings_.max_new_tokens) unfinished.push_back(active_[i]);
  }
  active_ = std::move(unfinished);
  if (constraint_ != nullptr && !active_.empty()) {
    constrain();
    drop_complete();
  }
}

int32_t GenerateSession::next_token(Sequence& sequence, std::span<const float> logits, size_t active) const {
  const double temperature = settings_.temperature;
  if (constraint_ == nullptr) {
    return temperature > 0 ? draw(logits, temperature, sequence.random) : most_probable(logits);
  }
  const TokenMask allowed = mask(active);
  return temperature > 0 ? draw(logits, allowed, temperature, sequence.random) : most_probable(logits, allowed);
}

void GenerateSession::constrain() {
  masks_ = at::zeros({unfinished(), mask_words(decoder_.config.vocabulary_size)}, at::kInt);
  mask_rows_.resize(active_.size());
  std::iota(mask_rows_.begin(), mask_rows_.end(), 0);
  std::vector<int64_t> prompts;
  std::vector<int32_t> tokens;
  for (const int64_t active : active_) {
    const Sequence& sequence = sequences_[active];
    prompts.push_back(sequence.index);
    tokens.push_back(sequence.answer.empty() ? -1 : sequence.answer.back());
  }
  constraint_->next(prompts, tokens, masks_);
}

void GenerateSession::drop_complete() {
  const size_t vocabulary = static_cast<size_t>(decoder_.config.vocabulary_size);
  size_t kept = 0;
  for (size_t i = 0; i < active_.size(); ++i) {
    if (find_allowed(mask(i), vocabulary, [&](int32_t token) { return !is_end(token); }) < 0) continue;
    active_[kept] = active_[i];
    mask_rows_[kept++] = mask_rows_[i];
  }
  active_.resize(kept);
  mask_rows_.resize(kept);
}

bool GenerateSession::is_end(int32_t token) const {
  const auto& ends = settings_.end_tokens;
  return std::find(ends.begin(), ends.end(), token) != ends.end();
}

TokenMask GenerateSession::mask(size_t active) const {
  const int64_t words = masks_.size(1);
  return {masks_.const_data_ptr<int32_t>() + mask_rows_[active] * words, static_cast<size_t>(words)};
}

std::vector<std::vector<int32_t>> GenerateSession::take_answers() {
  std::vector<std::vector<int32_t>> answers;
  for (Sequence& sequence : sequences_) answers.push_back(std::move(sequence.answer));
  return answers;
}

}  // namespace luthier
