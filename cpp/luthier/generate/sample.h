// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <span>

#include "luthier/base/random.h"
#include "luthier/generate/token_mask.h"

namespace luthier {

/// The index of the largest logit, the first of equals.
int32_t most_probable(std::span<const float> logits);

/// The same among the allowed tokens; -1 where none is allowed.
int32_t most_probable(std::span<const float> logits, TokenMask allowed);

/// Draws from softmax(logits / temperature) with one number of the stream; temperature above zero.
int32_t draw(std::span<const float> logits, double temperature, Random& random);

/// The same from the softmax over the allowed tokens alone; -1 where none is allowed. Where there is but one, it is
/// taken without a number of the stream.
int32_t draw(std::span<const float> logits, TokenMask allowed, double temperature, Random& random);

}  // namespace luthier
