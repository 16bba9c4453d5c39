// Sets of tokens as bits.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace luthier {

/// Bit t % 32 of word t / 32 says whether token t may come next. Bits behind the vocabulary mean nothing.
using TokenMask = std::span<const int32_t>;

/// The words of a mask over a vocabulary of this size.
inline int64_t mask_words(int64_t vocabulary) { return (vocabulary + 31) / 32; }

/// The first token that is allowed and for which `matches(token)` holds, in their order; -1 for none.
template <class Predicate>
int32_t find_allowed(TokenMask mask, size_t vocabulary, Predicate matches) {
  for (size_t word = 0; word < mask.size(); ++word) {
    for (uint32_t bits = static_cast<uint32_t>(mask[word]); bits != 0; bits &= bits - 1) {
      const size_t token = word * 32 + static_cast<size_t>(std::countr_zero(bits));
      if (token >= vocabulary) return -1;
      if (matches(static_cast<int32_t>(token))) return static_cast<int32_t>(token);
    }
  }
  return -1;
}

}  // namespace luthier
