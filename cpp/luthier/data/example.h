// One row of the user's file as token ids, and how much each token counts.
#pragma once

#include <cstdint>
#include <vector>

namespace luthier {

/// weights[i] is the weight of predicting tokens[i] from the tokens before it; 0: not supervised. weights[0] is never
/// used, since nothing stands before the first token. ends[i]: tokens[i] closes an assistant turn.
struct Example {
  int64_t row = 0;  // the caller's number of the row, for the ledger and for errors
  std::vector<int32_t> tokens;
  std::vector<float> weights;
  std::vector<uint8_t> ends;

  /// The sum of the weights that a loss can use: all but the first.
  double weight() const;
  /// How many tokens a model reads for it: those before the last supervised one, which is predicted and not read.
  int64_t tokens_read() const;
  /// How many tokens are supervised: those with a weight above zero, but the first.
  int64_t supervised() const;
};

}  // namespace luthier
