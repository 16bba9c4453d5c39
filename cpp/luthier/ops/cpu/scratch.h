// Memory that an operation needs only while it runs, kept for the next call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace luthier::cpu {

/// What a piece of scratch memory is for: two pieces in use at a time on one thread need different names.
enum class Scratch { packed_a, packed_b, packed_rows, tile, tile_bf16, partial, count };

/// At least this many bytes of the calling thread's memory, aligned to 64 bytes, uninitialised. Valid until the same
/// piece is asked for again. Other threads may use it while the caller waits for them.
void* scratch_bytes(Scratch piece, size_t bytes);

template <class T>
T* scratch(Scratch piece, int64_t count) {
  return static_cast<T*>(scratch_bytes(piece, static_cast<size_t>(count) * sizeof(T)));
}

}  // namespace luthier::cpu
