// What the answers may be: asked before each token for the tokens that may come next.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace luthier {

/// One object serves one call of `generate`, and keeps for each prompt where its answer stands.
class Constraint {
 public:
  virtual ~Constraint() = default;

  /// The answer to prompt `prompts[i]` (its place among all prompts) got `tokens[i]`, -1 before its first token, and is
  /// to go on. Sets row i of `masks`, [prompts, mask_words(vocabulary)] int32 and zero until then, to the tokens that
  /// may come next, end tokens among them. An answer with none, or with nothing but end tokens, is finished; it is not
  /// asked for again. May throw to stop.
  virtual void next(std::span<const int64_t> prompts, std::span<const int32_t> tokens, const at::Tensor& masks) = 0;
};

}  // namespace luthier
