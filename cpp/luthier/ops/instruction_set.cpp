#include "luthier/ops/instruction_set.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "luthier/base/error.h"

namespace luthier {
namespace {

InstructionSet widest() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512bf16");
  if (avx512 && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16")) return InstructionSet::amx;
  if (avx512) return InstructionSet::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return InstructionSet::avx2;
#endif
  return InstructionSet::reference;
}

InstructionSet choose() {
  const InstructionSet machine = widest();
  const char* wanted = std::getenv("LUTHIER_ISA");
  if (wanted == nullptr || *wanted == '\0') return machine;
  for (const auto set :
       {InstructionSet::reference, InstructionSet::avx2, InstructionSet::avx512, InstructionSet::amx}) {
    if (std::string_view(wanted) != name_of(set)) continue;
    if (set > machine) fail_input("LUTHIER_ISA=", wanted, ": this processor has no more than ", name_of(machine));
    return set;
  }
  fail_input("LUTHIER_ISA=", wanted, " is unknown: write reference, avx2, avx512 or amx");
}

std::atomic<int> forced{-1};

}  // namespace

InstructionSet instruction_set() {
  if (const int set = forced.load(std::memory_order_relaxed); set >= 0) return static_cast<InstructionSet>(set);
  static const InstructionSet chosen = choose();
  return chosen;
}

void force_instruction_set(InstructionSet set) {
  LUTHIER_CHECK(set <= widest(), "[force_instruction_set] this processor has no more than ", name_of(widest()));
  forced.store(static_cast<int>(set), std::memory_order_relaxed);
}

const char* name_of(InstructionSet set) {
  switch (set) {
    case InstructionSet::reference:
      return "reference";
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::avx512:
      return "avx512";
    case InstructionSet::amx:
      return "amx";
  }
  return "unknown";
}

}  // namespace luthier
