// The cosines and sines of a decoder's rotary positions.
#pragma once

#include <ATen/core/Tensor.h>

#include "luthier/model/config.h"

namespace luthier {

/// cos, sin [positions, head_size / 2] fp32; the angle of position p and pair i is p * base^(-2 i / head_size), scaled
/// as the configuration says.
struct RopeTable {
  at::Tensor cos, sin;
};

/// The table for positions [0, positions).
RopeTable make_rope_table(const DecoderConfig& config, int64_t positions);

}  // namespace luthier
