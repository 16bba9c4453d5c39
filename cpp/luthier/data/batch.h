// A batch is a prefix forest: segments of tokens, each after its parent. Nothing is padded, and a prefix that several
// examples share is in the batch once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "luthier/data/example.h"

namespace luthier {

/// A run of tokens. A token attends to every token of the ancestors and to the earlier ones of its own segment.
struct Segment {
  int32_t parent = -1;         // index of the parent segment, which stands before this one; -1 for a root
  int32_t begin = 0, end = 0;  // rows [begin, end) of the batch
  int32_t position = 0;        // of its first token: the depth of the parent's last token, plus one
};

/// T rows of tokens and R targets. A target says: the hidden state of row target_rows[r] predicts the token targets[r].
struct Batch {
  at::Tensor tokens, positions;   // [T] int32
  std::vector<Segment> segments;  // parents before children; their rows cover [0, T) in order
  at::Tensor target_rows;         // [R] int32; a row may occur more than once, where examples part after it
  at::Tensor targets;             // [R] int32
  at::Tensor weights;             // [R] fp32, above zero
  std::vector<int32_t> example;   // [R] index into the examples that the batch was made from, rising
  std::vector<uint8_t> ends;      // [R] whether the target closes an assistant turn

  int64_t rows() const { return tokens.size(0); }
  int64_t target_count() const { return static_cast<int64_t>(example.size()); }
};

/// Rows that a prefix must have before it becomes a segment of its own: below this, computing it twice is cheaper than
/// one more tile in attention.
inline constexpr int32_t kMinimumSharedRows = 16;

/// Packs the examples into one forest. Prefixes of at least `minimum_shared` tokens that examples have in common are
/// merged; rows that no target needs (behind the last supervised token) are left out. Targets stand in the order of the
/// examples. Throws Error when no example has a target.
Batch make_batch(std::span<const Example* const> examples, int32_t minimum_shared = kMinimumSharedRows);

/// How many rows make_batch would give, at a fraction of the cost.
int64_t batch_rows(std::span<const Example* const> examples, int32_t minimum_shared = kMinimumSharedRows);

/// A batch without targets over lists of tokens, prefixes merged as above. leaf_segments[i], if given, gets the segment
/// in which list i ends (-1 for an empty list).
Batch make_prompt_batch(std::span<const std::vector<int32_t>* const> prompts, int32_t minimum_shared,
                        std::vector<int32_t>* leaf_segments);

}  // namespace luthier
