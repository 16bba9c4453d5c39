// The product of two small matrices inside one thread.
#pragma once

#include <ATen/native/CPUBlas.h>
#include <c10/util/BFloat16.h>

#include <type_traits>

#include "luthier/ops/instruction_set.h"

namespace luthier::cpu {

/// c = a b (+ c when accumulate) in fp32 on AVX2: a [m, k], b [k, n], c [m, n], rows as far apart as their strides say.
void multiply_avx2(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                   float* c, int64_t c_stride, bool accumulate);

/// Products of one call of an operation. `Operand` is float or c10::BFloat16; bf16 needs AVX512-BF16.
template <class Operand>
class TileProduct {
 public:
  explicit TileProduct(InstructionSet set) : brgemm_(set >= InstructionSet::avx512) {}

  /// c = a b (+ c when accumulate). a [m, k], rows a_stride apart; b [k, n], in pairs of rows when it is bf16; c fp32.
  void operator()(int64_t m, int64_t n, int64_t k, const Operand* a, int64_t a_stride, const Operand* b,
                  int64_t b_stride, float* c, int64_t c_stride, bool accumulate) const {
    if constexpr (std::is_same_v<Operand, float>) {
      if (!brgemm_) return multiply_avx2(m, n, k, a, a_stride, b, b_stride, c, c_stride, accumulate);
    }
    at::native::cpublas::brgemm(m, n, k, a_stride, b_stride, c_stride, accumulate, a, b, c,
                                !std::is_same_v<Operand, float>);
  }

  /// Every thread that has made products calls this once it is done.
  void release() const {
    if (brgemm_) at::native::cpublas::brgemm_release(!std::is_same_v<Operand, float>);
  }

 private:
  bool brgemm_;
};

}  // namespace luthier::cpu
