// Memory and work for the threads of one call of an operation.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace luthier::cpu {

/// Hands out pieces of one allocation. Without memory it only counts, so that a layout is written once.
class Arena {
 public:
  explicit Arena(std::byte* memory = nullptr) : memory_(memory) {}

  /// Room for `count` elements, aligned to a cache line.
  template <class T>
  T* take(int64_t count) {
    std::byte* start = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return reinterpret_cast<T*>(start);
  }
  int64_t used() const { return used_; }

 private:
  std::byte* memory_;
  int64_t used_ = 0;
};

/// The bytes of one thread's Scratch.
template <class Scratch, class Shape>
int64_t scratch_size(const Shape& shape) {
  Arena counter;
  [[maybe_unused]] const Scratch measured(counter, shape);
  return counter.used();
}

/// Units that one thread draws first.
struct UnitQueue {
  std::vector<int64_t> units;
  std::atomic<size_t> next{0};
};

/// The threads that share `count` units.
inline int64_t sharing_threads(int64_t count) {
  return std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), count));
}

/// The bytes that share_units allocates.
template <class Scratch, class Shape>
int64_t shared_bytes(int64_t count, const Shape& shape) {
  return sharing_threads(count) * scratch_size<Scratch>(shape);
}

/// Calls work(unit, scratch) for every unit of [0, count). A thread draws the units whose home(unit) it is, a number
/// from 0, in their order, and then those that other threads have left; so `work` must give the same result whichever
/// thread runs it. Each thread has its own Scratch, made by Scratch(arena, shape); done() runs at the end of each
/// thread.
template <class Scratch, class Shape, class Home, class Work, class Done>
void share_units(int64_t count, const Shape& shape, const Home& home, const Work& work, const Done& done) {
  const int64_t threads = sharing_threads(count), size = scratch_size<Scratch>(shape);
  const at::Tensor memory = at::empty({threads * size}, at::kByte);
  auto* bytes = reinterpret_cast<std::byte*>(memory.data_ptr<uint8_t>());
  std::vector<UnitQueue> queues(static_cast<size_t>(threads));
  for (int64_t unit = 0; unit < count; ++unit) queues[static_cast<size_t>(home(unit) % threads)].units.push_back(unit);
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread) {
      Arena arena(bytes + thread * size);
      Scratch scratch(arena, shape);
      for (int64_t other = 0; other < threads; ++other) {
        UnitQueue& queue = queues[static_cast<size_t>((thread + other) % threads)];
        for (size_t next = queue.next++; next < queue.units.size(); next = queue.next++) {
          work(queue.units[next], scratch);
        }
      }
    }
    done();
  });
}

}  // namespace luthier::cpu
