#include "luthier/ops/cpu/tile_product.h"

#include <cstring>

namespace luthier::cpu {
namespace {

#if defined(__x86_64__)
#define LUTHIER_TARGET __attribute__((target("avx2,fma")))
#else
#define LUTHIER_TARGET
#endif
#define LUTHIER_INLINE LUTHIER_TARGET __attribute__((always_inline)) inline

typedef float Lanes __attribute__((vector_size(32)));
constexpr int kLanes = 8, kVectors = 2;

LUTHIER_INLINE void load(const float* source, Lanes& target) { std::memcpy(&target, source, sizeof(Lanes)); }

/// `rows` x 16 of c, held in registers.
template <int rows>
LUTHIER_INLINE void multiply_panel(int64_t k, const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                                   float* c, int64_t c_stride, bool accumulate) {
  Lanes sums[rows][kVectors] = {};
  if (accumulate)
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < kVectors; ++v) load(c + r * c_stride + v * kLanes, sums[r][v]);
  for (int64_t i = 0; i < k; ++i) {
    Lanes row[kVectors];
    for (int v = 0; v < kVectors; ++v) load(b + i * b_stride + v * kLanes, row[v]);
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < kVectors; ++v) sums[r][v] += a[r * a_stride + i] * row[v];
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < kVectors; ++v) std::memcpy(c + r * c_stride + v * kLanes, &sums[r][v], sizeof(Lanes));
}

}  // namespace

LUTHIER_TARGET void multiply_avx2(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
                                  int64_t b_stride, float* c, int64_t c_stride, bool accumulate) {
  constexpr int kRows = 6;
  int64_t column = 0;
  for (; column + kVectors * kLanes <= n; column += kVectors * kLanes) {
    int64_t row = 0;
    for (; row + kRows <= m; row += kRows)
      multiply_panel<kRows>(k, a + row * a_stride, a_stride, b + column, b_stride, c + row * c_stride + column,
                            c_stride, accumulate);
    for (; row < m; ++row)
      multiply_panel<1>(k, a + row * a_stride, a_stride, b + column, b_stride, c + row * c_stride + column, c_stride,
                        accumulate);
  }
  for (int64_t row = 0; row < m; ++row) {
    for (int64_t rest = column; rest < n; ++rest) {
      float sum = accumulate ? c[row * c_stride + rest] : 0;
      for (int64_t i = 0; i < k; ++i) sum += a[row * a_stride + i] * b[i * b_stride + rest];
      c[row * c_stride + rest] = sum;
    }
  }
}

}  // namespace luthier::cpu
