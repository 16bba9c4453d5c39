// One source, compiled once for each instruction set: loops that the compiler vectorises.
#pragma once

#include "luthier/ops/instruction_set.h"

/// For every function that a vectorised body calls: a function that is not inlined keeps the baseline's instructions.
#define LUTHIER_INLINE [[gnu::always_inline]] inline
/// The same for a lambda: [&]() LUTHIER_INLINE_LAMBDA { ... }.
#define LUTHIER_INLINE_LAMBDA __attribute__((always_inline))

namespace luthier::cpu {

#if defined(__x86_64__)
template <class Body>
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void run_avx512(const Body& body) {
  body();
}

template <class Body>
__attribute__((target("arch=x86-64-v3"))) void run_avx2(const Body& body) {
  body();
}
#endif

/// Runs body(), an inlined lambda, compiled for the instruction set in use.
template <class Body>
void vectorized(const Body& body) {
#if defined(__x86_64__)
  switch (instruction_set()) {
    case InstructionSet::amx:
    case InstructionSet::avx512:
      return run_avx512(body);
    case InstructionSet::avx2:
      return run_avx2(body);
    case InstructionSet::reference:
      break;
  }
#endif
  body();
}

}  // namespace luthier::cpu
