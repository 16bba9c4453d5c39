// What the two implementations of the token log-probabilities share: how rows and vocabulary are cut, and the running
// maximum and sum of exponentials (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "luthier/ops/cpu/arithmetic.h"

namespace luthier::cpu {

/// The maximum of the logits seen so far, and the sum of exp(logit - maximum).
struct Normaliser {
  float maximum = std::numeric_limits<float>::lowest(), sum = 0;
};

inline void merge(Normaliser& all, const Normaliser& more) {
  const float maximum = more.maximum > all.maximum ? more.maximum : all.maximum;
  all.sum = all.sum * std::exp(all.maximum - maximum) + more.sum * std::exp(more.maximum - maximum);
  all.maximum = maximum;
}

inline float log_sum_exp_of(const Normaliser& all) { return all.maximum + std::log(all.sum); }

}  // namespace luthier::cpu
