// How many pieces of one size hold a count.
#pragma once

#include <cstdint>

namespace luthier::cpu {

/// value / by, rounded up; value >= 0, by > 0.
inline int64_t divide_up(int64_t value, int64_t by) { return (value + by - 1) / by; }

}  // namespace luthier::cpu
