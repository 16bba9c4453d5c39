// Decoding many prompts at once. Prompts that start alike share the keys and values of what they have in common.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "luthier/generate/constraint.h"
#include "luthier/model/decoder.h"

namespace luthier {

struct GenerateSettings {
  int64_t max_new_tokens = 128;
  std::vector<int32_t> end_tokens;  // an answer stops before the first of them
  double temperature = 0;           // 0: the most probable token each time
  uint64_t seed = 0;                // a prompt's draws depend on the seed and the prompt's index alone
  int64_t max_rows = 64;            // prompts that are decoded side by side
  int64_t cache_tokens = 32768;     // keys and values that are held at once, unless a single prompt needs more
};

/// Called with the number of finished prompts after each token; may throw to stop.
using GenerateProgress = std::function<void(int64_t)>;

/// The answers in the order of the prompts, without the end token. Equal probabilities: the lower token. With a
/// constraint each token is the most probable of those it allows, or drawn from these. Throws InputError for an empty
/// prompt, a token outside the vocabulary, or a negative temperature.
std::vector<std::vector<int32_t>> generate(Decoder& decoder, const std::vector<std::vector<int32_t>>& prompts,
                                           const GenerateSettings& settings, const GenerateProgress& progress,
                                           Constraint* constraint = nullptr);

}  // namespace luthier
