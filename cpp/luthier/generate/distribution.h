// What a row of logits says of the next token, and how a row is narrowed to fewer tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace luthier {

/// log sum exp(logits): a token's log-probability is its logit less this.
double log_sum_exp(std::span<const float> logits);

/// The `count` most probable tokens, falling; of equals the lower token first. Fewer where the row has fewer.
std::vector<int32_t> most_probable_of(std::span<const float> logits, size_t count);

/// Sets all logits to -infinity but those of the fewest most probable tokens that have the probability `top_p` together
/// under softmax(logits / temperature) (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020).
void keep_nucleus(std::span<float> logits, double temperature, double top_p);

/// Sets all logits to -infinity but those of the tokens whose bit is set: bit t % 32 of word t / 32 for token t. False
/// where none is.
bool keep_allowed(std::span<float> logits, std::span<const int32_t> allowed);

}  // namespace luthier
