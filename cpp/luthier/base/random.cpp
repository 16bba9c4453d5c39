#include "luthier/base/random.h"

namespace luthier {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(product1),
         static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(product0)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

uint32_t Random::bits() {
  const uint64_t block = position_ / 4;
  const auto numbers = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                               static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                              {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
  return numbers[position_++ % 4];
}

double Random::uniform() { return (bits() >> 8) * 0x1p-24; }

uint32_t Random::below(uint32_t bound) {
  // Lemire, "Fast random integer generation in an interval", ACM TOMACS 2019.
  uint64_t product = uint64_t{bits()} * bound;
  if (static_cast<uint32_t>(product) < bound) {
    const uint32_t threshold = (0u - bound) % bound;
    while (static_cast<uint32_t>(product) < threshold) product = uint64_t{bits()} * bound;
  }
  return static_cast<uint32_t>(product >> 32);
}

}  // namespace luthier
