#include "luthier/ops/cpu/scratch.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <new>

namespace luthier::cpu {
namespace {

constexpr size_t kAlignment = 64;

struct Free {
  void operator()(void* address) const { std::free(address); }
};

struct Piece {
  std::unique_ptr<void, Free> memory;
  size_t size = 0;
};

}  // namespace

void* scratch_bytes(Scratch piece, size_t bytes) {
  static thread_local std::array<Piece, static_cast<size_t>(Scratch::count)> pieces;
  Piece& kept = pieces[static_cast<size_t>(piece)];
  if (kept.size < bytes || kept.memory == nullptr) {
    const size_t size = (bytes / kAlignment + 1) * kAlignment;
    kept = {};
    kept.memory.reset(std::aligned_alloc(kAlignment, size));
    if (kept.memory == nullptr) throw std::bad_alloc();
    kept.size = size;
  }
  return kept.memory.get();
}

}  // namespace luthier::cpu
