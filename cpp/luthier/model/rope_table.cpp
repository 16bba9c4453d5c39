#include "luthier/model/rope_table.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace luthier {
namespace {

// The pair that turns this many times over the original positions (YaRN, eq. 17 solved for the dimension).
double pair_of_turns(const RopeSettings& rope, int64_t dimensions, double turns) {
  const double original = static_cast<double>(rope.scaling.original_positions);
  return static_cast<double>(dimensions) * std::log(original / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(rope.base));
}

// How far pair i goes from its plain frequency, 0, to the one divided by the factor, 1.
float yarn_ramp(const RopeSettings& rope, int64_t dimensions, int64_t pair) {
  double low = pair_of_turns(rope, dimensions, rope.scaling.beta_fast);
  double high = pair_of_turns(rope, dimensions, rope.scaling.beta_slow);
  if (rope.scaling.whole_pairs) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dimensions - 1));
  if (low == high) high += 0.001;
  return std::clamp(static_cast<float>((static_cast<double>(pair) - low) / (high - low)), 0.0f, 1.0f);
}

// Angles are products of fp32 numbers, as Transformers computes them: at far positions the rounding shows in the
// logits.
float frequency(const RopeSettings& rope, int64_t dimensions, int64_t pair) {
  const float exponent = static_cast<float>(2 * pair) / static_cast<float>(dimensions);
  const float power = std::pow(static_cast<float>(rope.base), exponent);
  const float plain = 1.0f / power;
  const RopeScaling& scaling = rope.scaling;
  switch (scaling.kind) {
    case RopeScaling::Kind::none:
      return plain;
    case RopeScaling::Kind::linear:
      return plain / static_cast<float>(scaling.factor);
    case RopeScaling::Kind::llama3: {
      const double wavelength = 2 * std::numbers::pi / plain;
      const double original = static_cast<double>(scaling.original_positions);
      if (wavelength < original / scaling.high_frequency_factor) return plain;
      if (wavelength > original / scaling.low_frequency_factor) return static_cast<float>(plain / scaling.factor);
      const double smooth = (original / wavelength - scaling.low_frequency_factor) /
                            (scaling.high_frequency_factor - scaling.low_frequency_factor);
      return static_cast<float>((1 - smooth) * plain / scaling.factor + smooth * plain);
    }
    case RopeScaling::Kind::yarn: {
      const float ramp = yarn_ramp(rope, dimensions, pair);
      return 1.0f / (static_cast<float>(scaling.factor) * power) * ramp + plain * (1 - ramp);
    }
    case RopeScaling::Kind::divided:
      return 1.0f / (static_cast<float>(scaling.divisors[static_cast<size_t>(pair)]) * power);
  }
  return plain;
}

}  // namespace

RopeTable make_rope_table(const RopeSettings& settings, int64_t head_size, int64_t positions) {
  const int64_t dimensions = settings.dimensions > 0 ? settings.dimensions : head_size, pairs = dimensions / 2;
  const float amplitude = static_cast<float>(settings.scaling.amplitude);
  RopeTable table{at::empty({positions, pairs}, at::kFloat), at::empty({positions, pairs}, at::kFloat)};
  float* cos = table.cos.data_ptr<float>();
  float* sin = table.sin.data_ptr<float>();
  for (int64_t i = 0; i < pairs; ++i) {
    const float step = frequency(settings, dimensions, i);
    for (int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * step;
      cos[p * pairs + i] = std::cos(angle) * amplitude;
      sin[p * pairs + i] = std::sin(angle) * amplitude;
    }
  }
  return table;
}

}  // namespace luthier
