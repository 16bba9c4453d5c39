#include "luthier/model/rope_table.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>

namespace luthier {
namespace {

// Angles are products of fp32 numbers, as Transformers computes them: at far positions the rounding shows in the
// logits.
float frequency(const DecoderConfig& config, int64_t pair) {
  const float exponent = static_cast<float>(2 * pair) / static_cast<float>(config.head_size);
  const float plain = 1.0f / std::pow(static_cast<float>(config.rope_base), exponent);
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeScaling::Kind::linear) return plain / static_cast<float>(scaling.factor);
  if (scaling.kind == RopeScaling::Kind::llama3) {
    const double wavelength = 2 * std::numbers::pi / plain;
    const double original = static_cast<double>(scaling.original_positions);
    if (wavelength < original / scaling.high_frequency_factor) return plain;
    if (wavelength > original / scaling.low_frequency_factor) return static_cast<float>(plain / scaling.factor);
    const double smooth = (original / wavelength - scaling.low_frequency_factor) /
                          (scaling.high_frequency_factor - scaling.low_frequency_factor);
    return static_cast<float>((1 - smooth) * plain / scaling.factor + smooth * plain);
  }
  return plain;
}

}  // namespace

RopeTable make_rope_table(const DecoderConfig& config, int64_t positions) {
  const int64_t pairs = config.head_size / 2;
  RopeTable table{at::empty({positions, pairs}, at::kFloat), at::empty({positions, pairs}, at::kFloat)};
  float* cos = table.cos.data_ptr<float>();
  float* sin = table.sin.data_ptr<float>();
  for (int64_t i = 0; i < pairs; ++i) {
    const float step = frequency(config, i);
    for (int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * step;
      cos[p * pairs + i] = std::cos(angle);
      sin[p * pairs + i] = std::sin(angle);
    }
  }
  return table;
}

}  // namespace luthier
