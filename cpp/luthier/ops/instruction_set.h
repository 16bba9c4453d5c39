// Which implementation of the operations runs.
#pragma once

namespace luthier {

enum class InstructionSet { reference, avx2, avx512, amx };

/// The widest set that this processor has (avx512 means AVX512F/BW/DQ/VL with AVX512-BF16), or a
/// narrower one that the environment variable LUTHIER_ISA names: reference, avx2, avx512 or amx.
/// Read once. Throws InputError when the variable names an unknown set or one that the machine lacks.
InstructionSet instruction_set();

/// Overrides `instruction_set()` for this process, for tests that compare implementations.
void force_instruction_set(InstructionSet set);

/// "reference", "avx2", "avx512" or "amx".
const char* name_of(InstructionSet set);

}  // namespace luthier
