// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <span>

#include "luthier/base/random.h"

namespace luthier {

/// The index of the largest logit, the first of equals.
int32_t most_probable(std::span<const float> logits);

/// Draws from softmax(logits / temperature) with one number of the stream; temperature above zero.
int32_t draw(std::span<const float> logits, double temperature, Random& random);

}  // namespace luthier
