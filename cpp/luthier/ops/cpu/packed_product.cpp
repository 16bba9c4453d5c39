#include "luthier/ops/cpu/packed_product.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>

#include "luthier/ops/cpu/arithmetic.h"
#include "luthier/ops/cpu/divide_up.h"
#include "luthier/ops/cpu/pack.h"
#include "luthier/ops/cpu/row_shares.h"
#include "luthier/ops/cpu/scratch.h"

namespace luthier::cpu {
namespace {

using at::BFloat16;

constexpr int64_t kLeastRows = 128;
constexpr int64_t kShareRows = 128;   // a thread's, at least: it packs the matrix for itself
constexpr int64_t kPanel = 64;        // columns of the matrix that are packed at a time
constexpr int64_t kRows = 64;         // of a tile
constexpr int64_t kRowMultiple = 16;  // a shorter tile is filled up to it, so that few kernels are compiled
constexpr int64_t kDepth = 2048;      // of a tile's operands, which stay in the second-level cache

LUTHIER_INLINE void add(const BFloat16* source, int64_t width, float* sum) {
#pragma omp simd
  for (int64_t n = 0; n < width; ++n) sum[n] += load(source + n);
}

class Product {
 public:
  Product(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias, bool accumulate, at::Tensor& out)
      : rows_(x.size(0)),
        depth_(x.size(1)),
        columns_(matrix.size(1)),
        x_(x.const_data_ptr<BFloat16>()),
        x_stride_(x.stride(0)),
        matrix_(matrix),
        bias_(bias.defined() ? bias.const_data_ptr<BFloat16>() : nullptr),
        accumulate_(accumulate),
        out_(out.mutable_data_ptr<BFloat16>()),
        out_stride_(out.stride(0)) {}

  /// Threads share the rows, and the columns where there are not rows enough for all of them.
  void run() const {
    const int64_t threads = at::get_num_threads(), panels = divide_up(columns_, kPanel);
    const RowShares shares(rows_, kRowMultiple, std::clamp<int64_t>(rows_ / kShareRows, 1, threads));
    const int64_t across = std::min(panels, threads / shares.count());
    at::parallel_for(0, shares.count() * across, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t share = task / across, part = task % across;
        multiply(shares.begin(share), shares.end(share), panels * part / across, panels * (part + 1) / across);
      }
      at::native::cpublas::brgemm_release();
    });
  }

 private:
  /// Rows [begin, end) of the output's panels [first, last).
  void multiply(int64_t begin, int64_t end, int64_t first, int64_t last) const {
    BFloat16* packed = scratch<BFloat16>(Scratch::packed_b, kPanel * depth_);
    const int64_t full = begin + (end - begin) / kRows * kRows;
    const Rows rest = full < end ? filled(full, end - full) : Rows{};
    for (int64_t panel = first; panel < last; ++panel) {
      pack(panel, packed);
      for (int64_t row = begin; row < full; row += kRows)
        tile({x_ + row * x_stride_, x_stride_, kRows}, row, panel, packed);
      if (full < end) tile(rest, full, panel, packed);
    }
  }

  /// Up to kRows rows of x, or a copy of them.
  struct Rows {
    const BFloat16* data = nullptr;
    int64_t stride = 0, count = 0;
    int64_t height() const { return divide_up(count, kRowMultiple) * kRowMultiple; }
  };

  /// Rows [row, row + count) of x, with rows of zeros below them where their height asks for that.
  Rows filled(int64_t row, int64_t count) const {
    const Rows rows{x_ + row * x_stride_, x_stride_, count};
    const int64_t height = rows.height();
    if (height == count) return rows;
    BFloat16* copy = scratch<BFloat16>(Scratch::packed_a, height * depth_);
    copy_rows(rows.data, x_stride_, count, depth_, height, copy);
    return {copy, depth_, count};
  }

  /// The panel's columns of the matrix in pairs of rows.
  void pack(int64_t panel, BFloat16* packed) const {
    const int64_t column = panel * kPanel, width = std::min(kPanel, columns_ - column);
    const BFloat16* data = matrix_.const_data_ptr<BFloat16>() + column * matrix_.stride(1);
    if (matrix_.stride(1) == 1) {
      pack_rows(data, matrix_.stride(0), depth_, width, depth_, packed, kPanel);
    } else {
      pack_columns(data, matrix_.stride(1), width, depth_, packed, kPanel);
    }
  }

  /// What the rows give in one panel of the output, from row `row` on.
  void tile(const Rows& rows, int64_t row, int64_t panel, const BFloat16* packed) const {
    alignas(64) float sums[kRows * kPanel];
    for (int64_t k = 0; k < depth_; k += kDepth) {
      at::native::cpublas::brgemm(rows.height(), kPanel, std::min(kDepth, depth_ - k), rows.stride, kPanel, kPanel,
                                  /*add_C=*/k > 0, rows.data + k, packed + k * kPanel, sums);
    }
    const int64_t column = panel * kPanel, width = std::min(kPanel, columns_ - column);
    vectorized([&]() LUTHIER_INLINE_LAMBDA {
      for (int64_t t = 0; t < rows.count; ++t) {
        float* sum = sums + t * kPanel;
        BFloat16* target = out_ + (row + t) * out_stride_ + column;
        if (bias_ != nullptr) add(bias_ + column, width, sum);
        if (accumulate_) add(target, width, sum);
#pragma omp simd
        for (int64_t n = 0; n < width; ++n) store(target + n, sum[n]);
      }
    });
  }

  int64_t rows_, depth_, columns_;
  const BFloat16* x_;
  int64_t x_stride_;
  const at::Tensor& matrix_;
  const BFloat16* bias_;
  bool accumulate_;
  BFloat16* out_;
  int64_t out_stride_;
};

}  // namespace

bool packed_product_takes(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 && instruction_set() >= InstructionSet::avx512 && x.size(1) % 2 == 0 &&
         x.size(0) >= kLeastRows;
}

void packed_product(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias, bool accumulate,
                    at::Tensor& out) {
  Product(x, matrix, bias, accumulate, out).run();
}

}  // namespace luthier::cpu
