#include "luthier/generate/generate.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "luthier/base/error.h"
#include "luthier/generate/session.h"

namespace luthier {
namespace {

void check(const Decoder& decoder, const std::vector<std::vector<int32_t>>& prompts, const GenerateSettings& settings) {
  if (!(settings.temperature >= 0)) fail_input("temperature is ", settings.temperature, ": it must be zero or above");
  if (settings.max_new_tokens < 0)
    fail_input("max-new-tokens is ", settings.max_new_tokens, ": it must be zero or above");
  if (settings.max_rows < 1) fail_input("max_rows is ", settings.max_rows, ": it must be at least 1");
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty()) fail_input("prompt ", i, " has no tokens");
    for (int32_t token : prompts[i]) {
      if (token < 0 || token >= decoder.config.vocabulary_size) {
        fail_input("prompt ", i, " has the token ", token, ", and the model has ", decoder.config.vocabulary_size);
      }
    }
  }
}

}  // namespace

std::vector<std::vector<int32_t>> generate(Decoder& decoder, const std::vector<std::vector<int32_t>>& prompts,
                                           const GenerateSettings& settings, const GenerateProgress& progress,
                                           Constraint* constraint) {
  check(decoder, prompts, settings);
  std::vector<std::vector<int32_t>> answers(prompts.size());
  if (settings.max_new_tokens == 0) return answers;
  // Neighbours in this order have the longest common prefixes.
  std::vector<int64_t> order(prompts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return prompts[a] < prompts[b]; });

  DecoderPass pass(decoder);
  std::optional<KeyValueCache> cache;
  int64_t finished = 0;
  for (size_t begin = 0; begin < order.size();) {
    // As many prompts as the cache has room for, counted without sharing: at least one.
    size_t end = begin;
    int64_t rows = 0;
    while (end < order.size() && static_cast<int64_t>(end - begin) < settings.max_rows) {
      const int64_t more = static_cast<int64_t>(prompts[order[end]].size()) + settings.max_new_tokens;
      if (end > begin && rows + more > settings.cache_tokens) break;
      rows += more;
      ++end;
    }
    if (!cache || cache->rows < rows) cache.emplace(decoder, rows);
    const std::span<const int64_t> group{order.data() + begin, end - begin};
    GenerateSession session(decoder, pass, *cache, settings, group, prompts, constraint);
    session.prefill();
    const int64_t size = static_cast<int64_t>(group.size());
    if (progress) progress(finished + size - session.unfinished());
    while (session.unfinished() > 0) {
      session.step();
      if (progress) progress(finished + size - session.unfinished());
    }
    std::vector<std::vector<int32_t>> done = session.take_answers();
    for (size_t i = 0; i < group.size(); ++i) answers[group[i]] = std::move(done[i]);
    finished += size;
    begin = end;
  }
  return answers;
}

}  // namespace luthier
