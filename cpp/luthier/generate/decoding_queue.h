// Answers to prompts that come and go: each step computes one more token for every prompt that is being answered, and
// a part of the prompts that were added meanwhile.
//
//     DecodingQueue queue(decoder, {});
//     const int64_t id = queue.add({prompt});
//     while (!queue.idle())
//       for (const DecodedToken& token : queue.step()) ...
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "luthier/base/random.h"
#include "luthier/generate/prefix_tree.h"
#include "luthier/model/key_value_cache.h"
#include "luthier/model/pass.h"

namespace luthier {

struct DecodingLimits {
  int64_t max_rows = 64;         // prompts that are answered side by side; more wait
  int64_t cache_tokens = 32768;  // keys and values that are held: of prompts and answers, and of what may come again
  int64_t step_tokens = 512;     // of prompts computed in one step, so that a long one does not hold up the others
};

struct DecodingRequest {
  std::vector<int32_t> prompt;
  int64_t max_new_tokens = 128;
  std::vector<int32_t> end_tokens;  // the answer stops at the first of them
  double temperature = 0;           // 0: the most probable token each time
  double top_p = 1;                 // draws are from the most probable tokens that have this probability together
  uint64_t seed = 0;                // with the same seed, the draws that generate() makes for its first prompt
  int64_t logprobs = -1;            // -1: none; else the token's and those of as many most probable tokens
};

enum class Finish { no, end, length, nothing_allowed };

struct DecodedToken {
  int64_t id = 0;
  int32_t token = 0;
  Finish finish = Finish::no;                     // end, nothing_allowed: the token is no part of the answer
  float logprob = 0;                              // by the model at temperature 1, whatever was allowed
  std::vector<std::pair<int32_t, float>> likely;  // the most probable tokens, falling; equals by rising token
};

/// Prompts are begun in the order of add. Not for concurrent use. A prompt's greedy answer is that of generate(), up to
/// the rounding of sums, which depends on what else is computed in a step.
class DecodingQueue {
 public:
  /// The decoder must outlive the queue and not change. Throws InputError for a limit below 1.
  DecodingQueue(Decoder& decoder, const DecodingLimits& limits);

  /// The number by which tokens of the answer are told. Throws InputError for an empty prompt, a token outside the
  /// vocabulary, a setting out of range, and a prompt that with its longest answer passes the model's positions or the
  /// cache.
  int64_t add(DecodingRequest request);

  /// Restricts the next token of an answer to those whose bit is set, bit t % 32 of word t / 32 for token t. Holds for
  /// one token. Unknown and finished answers are ignored. Throws InputError where words are missing.
  void allow(int64_t id, const std::vector<int32_t>& allowed);

  /// No more tokens come for the answer. Unknown and finished ones are ignored.
  void cancel(int64_t id);

  /// Computes; gives the new tokens, at most one for each answer, and none while only parts of prompts were computed.
  /// Where it throws, such as for memory, the queue must not be used again.
  std::vector<DecodedToken> step();

  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  bool idle() const { return waiting_.empty() && running_.empty(); }
  /// How many prompt tokens were computed so far, and how many were found in the cache instead.
  int64_t computed_tokens() const { return computed_tokens_; }
  int64_t reused_tokens() const { return reused_tokens_; }

 private:
  struct Waiting {
    int64_t id;
    DecodingRequest request;
    std::vector<int32_t> allowed;
  };
  struct Sequence {
    int64_t id;
    DecodingRequest request;
    PrefixNode* leaf;
    Random random;
    std::vector<int32_t> answer;
    std::vector<int32_t> allowed;  // empty: all
  };
  struct Step;

  void check(const DecodingRequest& request) const;
  void begin_waiting();
  void plan_prompts(Step& step);
  void plan_answers(Step& step);
  DecodedToken choose(Sequence& sequence, float* logits);
  void finish(size_t index);

  Decoder& decoder_;
  DecodingLimits limits_;
  DecoderPass pass_;
  KeyValueCache cache_;
  PrefixTree tree_;
  std::deque<Waiting> waiting_;
  std::vector<Sequence> running_;  // in the order in which they began
  int64_t next_id_ = 0;
  int64_t computed_tokens_ = 0, reused_tokens_ = 0;
};

}  // namespace luthier
