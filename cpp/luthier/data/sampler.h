// Which examples make up each optimiser step.
#pragma once

#include <cstdint>
#include <vector>

namespace luthier {

/// Walks over `count` examples epoch by epoch, in the order of the file or shuffled anew in each epoch from the seed.
/// The last step of an epoch takes what is left. Epoch and offset are the whole state, so any step can be resumed.
class Sampler {
 public:
  struct State {
    int64_t epoch = 0, offset = 0;  // offset: examples of this epoch that were handed out
  };

  /// Throws InputError when there is no example or a step would have no row.
  Sampler(int64_t count, int64_t rows_per_step, uint64_t seed, bool shuffled);

  /// Indices of the examples of the next step.
  std::vector<int64_t> next();
  int64_t steps_per_epoch() const { return (count_ + rows_per_step_ - 1) / rows_per_step_; }
  State state() const { return state_; }
  /// Goes on from a state that state() gave. Throws InputError when it does not fit these examples.
  void restore(State state);

 private:
  void arrange();

  int64_t count_, rows_per_step_;
  uint64_t seed_;
  bool shuffled_;
  State state_;
  std::vector<int64_t> order_;  // of the current epoch
};

}  // namespace luthier
