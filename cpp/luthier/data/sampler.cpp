#include "luthier/data/sampler.h"

#include <algorithm>
#include <numeric>

#include "luthier/base/error.h"
#include "luthier/base/random.h"

namespace luthier {

Sampler::Sampler(int64_t count, int64_t rows_per_step, uint64_t seed, bool shuffled)
    : count_(count), rows_per_step_(rows_per_step), seed_(seed), shuffled_(shuffled) {
  if (count < 1) fail_input("there is no example to train on");
  if (rows_per_step < 1) fail_input("batch-size is ", rows_per_step, ": it must be at least 1");
  if (count > UINT32_MAX) fail_input("more than ", UINT32_MAX, " examples");
  arrange();
}

std::vector<int64_t> Sampler::next() {
  const int64_t end = std::min(count_, state_.offset + rows_per_step_);
  std::vector<int64_t> step(order_.begin() + state_.offset, order_.begin() + end);
  state_.offset = end;
  if (end == count_) {
    state_ = {state_.epoch + 1, 0};
    arrange();
  }
  return step;
}

void Sampler::restore(State state) {
  if (state.epoch < 0 || state.offset < 0 || state.offset >= count_) {
    fail_input("the sampler's state (epoch ", state.epoch, ", offset ", state.offset, ") does not fit ", count_,
               " examples: was the data changed?");
  }
  state_ = state;
  arrange();
}

void Sampler::arrange() {
  order_.resize(count_);
  std::iota(order_.begin(), order_.end(), 0);
  if (!shuffled_) return;
  // Fisher and Yates, from the seed and the epoch alone.
  Random random(seed_, static_cast<uint64_t>(state_.epoch));
  for (int64_t i = count_ - 1; i > 0; --i) std::swap(order_[i], order_[random.below(static_cast<uint32_t>(i + 1))]);
}

}  // namespace luthier
