// Random numbers from a counter: the n-th number of a stream depends on the seed, the stream and n
// alone, so any position can be resumed and no order of calls changes a result.
#pragma once

#include <array>
#include <cstdint>

namespace luthier {

/// One block of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A stream of numbers. `seed` is the run's, `stream` names the use (an epoch, a tensor, a row).
class Random {
 public:
  Random(uint64_t seed, uint64_t stream, uint64_t position = 0) : seed_(seed), stream_(stream), position_(position) {}

  /// The next 32 random bits.
  uint32_t bits();
  /// Uniform in [0, 1), 24 bits.
  double uniform();
  /// Uniform in [0, bound) without bias, by Lemire's method; bound is at least 1.
  uint32_t below(uint32_t bound);
  /// How many 32-bit numbers were drawn: give it to the constructor to go on from here.
  uint64_t position() const { return position_; }

 private:
  uint64_t seed_, stream_, position_;
};

}  // namespace luthier
