// A group of prompts that are decoded side by side over one cache.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "luthier/base/random.h"
#include "luthier/data/batch.h"
#include "luthier/generate/generate.h"
#include "luthier/generate/token_mask.h"
#include "luthier/model/key_value_cache.h"
#include "luthier/model/pass.h"

namespace luthier {

/// The cache holds the rows of the prompts' forest, and behind them, for each prompt, room for its answer.
class GenerateSession {
 public:
  /// `prompts` are indices into `all`. The cache has a row for each token of the prompts and of their longest answers.
  /// `constraint` may be null.
  GenerateSession(Decoder& decoder, DecoderPass& pass, KeyValueCache& cache, const GenerateSettings& settings,
                  std::span<const int64_t> prompts, const std::vector<std::vector<int32_t>>& all,
                  Constraint* constraint);

  /// Computes the prompts and chooses the first token of each answer.
  void prefill();
  /// Chooses one more token for each unfinished prompt.
  void step();
  int64_t unfinished() const { return static_cast<int64_t>(active_.size()); }
  /// The answers in the order of `prompts`.
  std::vector<std::vector<int32_t>> take_answers();

 private:
  struct Sequence {
    std::vector<KeyRange> prompt;  // its rows in the cache, root first
    int32_t length = 0;            // of the prompt
    int32_t answer_begin = 0;      // first cache row of the answer
    int64_t index = 0;             // among all prompts
    Random random;
    std::vector<int32_t> answer;
  };

  void choose(const at::Tensor& hidden, const std::vector<int64_t>& state_of);
  int32_t next_token(Sequence& sequence, std::span<const float> logits, size_t active) const;
  /// Asks the constraint for the masks of the unfinished answers.
  void constrain();
  /// Takes out the answers that may not go on but by ending, which need no further pass.
  void drop_complete();
  bool is_end(int32_t token) const;
  TokenMask mask(size_t active) const;

  Decoder& decoder_;
  DecoderPass& pass_;
  KeyValueCache& cache_;
  const GenerateSettings& settings_;
  Batch forest_;
  std::vector<Sequence> sequences_;
  std::vector<int64_t> active_;     // indices into sequences_
  Constraint* constraint_;          // null: any token may come next
  at::Tensor masks_;                // [mask_rows_ of then, words]
  std::vector<int64_t> mask_rows_;  // of each of active_ in masks_
};

}  // namespace luthier
