// The cosines and sines of a decoder's rotary positions.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/model/config.h"

namespace luthier {

/// cos, sin [positions, pairs] fp32, for half as many pairs as dimensions of a head are rotated; the angle of position
/// p and pair i is p * base^(-2 i / dimensions), scaled as the settings say, and both are times the amplitude.
struct RopeTable {
  at::Tensor cos, sin;
};

/// The table for positions [0, positions) of heads of this size.
RopeTable make_rope_table(const RopeSettings& settings, int64_t head_size, int64_t positions);

}  // namespace luthier
