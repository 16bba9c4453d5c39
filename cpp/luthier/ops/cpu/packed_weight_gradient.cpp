#include "luthier/ops/cpu/packed_weight_gradient.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>

#include "luthier/ops/cpu/divide_up.h"
#include "luthier/ops/cpu/pack.h"
#include "luthier/ops/cpu/row_shares.h"
#include "luthier/ops/cpu/scratch.h"
#include "luthier/ops/cpu/vectorize.h"

namespace luthier::cpu {
namespace {

using at::BFloat16;

constexpr int64_t kTile = 64;          // rows and columns of a tile of d_weight
constexpr int64_t kGroup = 4 * kTile;  // columns of the wide operand of a narrow product that are packed at a time
constexpr int64_t kNarrowRows = 512, kWideRows = 1024;  // of d_out and x that are packed at a time
constexpr int64_t kShareRows = 128;   // a thread's, at least, that make sums of its own worth adding up
constexpr int64_t kGrain = 8192;      // numbers that a thread adds, at least
constexpr int64_t kRowMultiple = 64;  // they are padded to, so that few kernels are compiled
constexpr int64_t kPadding = 32;      // between rows of the turned operand, so that they do not share sets of the cache

LUTHIER_INLINE void add_scaled(const float* source, float scale, int64_t columns, float* target) {
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) target[i] += source[i] * scale;
}

/// A block of rows of an operand of the weight gradient.
struct Operand {
  const BFloat16* data;
  int64_t stride, columns;
  Operand from(int64_t row) const { return {data + row * stride, stride, columns}; }
  int64_t tiles() const { return divide_up(columns, kTile); }
  int64_t width(int64_t first) const { return std::min(kTile, columns - first); }
};

/// target [left columns, right columns] += left' right * scale, or the transpose of that when `turned`.
struct Product {
  Operand left, right;
  int64_t rows;
  float scale;
  float* target;
  int64_t target_stride;
  bool turned;

  /// Rows [begin, end) of it alone, for another target.
  Product part(int64_t begin, int64_t end, float* other, int64_t other_stride) const {
    return {left.from(begin), right.from(begin), end - begin, scale, other, other_stride, turned};
  }
  int64_t depth() const { return divide_up(rows, kRowMultiple) * kRowMultiple; }
  int64_t left_stride() const { return depth() + kPadding; }

  void pack_left(int64_t i, BFloat16* packed) const {
    transpose(left.data + i, left.stride, rows, left.width(i), depth(), packed + i * left_stride(), left_stride());
  }
  void pack_right(int64_t j, int64_t width, BFloat16* packed) const {
    pack_rows(right.data + j, right.stride, rows, width, depth(), packed, width);
  }
  /// The tile at (i, j), from the packed left operand and columns [j, j + kTile) of the right one, packed
  /// `right_stride` to a pair of rows.
  void add_tile(int64_t i, int64_t j, const BFloat16* packed_left, const BFloat16* packed_right,
                int64_t right_stride) const {
    alignas(64) float product[kTile * kTile], other[kTile * kTile];
    const int64_t height = left.width(i), width = right.width(j);
    at::native::cpublas::brgemm(height, width, depth(), left_stride(), right_stride, kTile, /*add_C=*/false,
                                packed_left + i * left_stride(), packed_right, product);
    if (turned) transpose(product, kTile, height, width, other, kTile);
    const float* source = turned ? other : product;
    float* tile = target + (turned ? j * target_stride + i : i * target_stride + j);
    vectorized([&]() LUTHIER_INLINE_LAMBDA {
      for (int64_t row = 0; row < (turned ? width : height); ++row) {
        add_scaled(source + row * kTile, scale, turned ? height : width, tile + row * target_stride);
      }
    });
  }
};

/// Tiles [begin, end) of the right operand, which are packed where they are used.
void add_tiles(const Product& product, const BFloat16* packed_left, int64_t begin, int64_t end) {
  BFloat16* packed_right = scratch<BFloat16>(Scratch::packed_b, kGroup * product.depth());
  const int64_t last = std::min(product.right.columns, end * kTile);
  for (int64_t group = begin * kTile; group < last; group += kGroup) {
    const int64_t width = std::min(kGroup, last - group);
    product.pack_right(group, width, packed_right);
    for (int64_t j = 0; j < width; j += kTile) {
      product.add_tile(0, group + j, packed_left, packed_right + 2 * j, width);
    }
  }
}

/// The packed left operand, where it is narrow.
const BFloat16* pack_narrow(const Product& product) {
  BFloat16* packed_left = scratch<BFloat16>(Scratch::packed_a, kTile * product.left_stride());
  product.pack_left(0, packed_left);
  return packed_left;
}

/// For a narrow left operand: it is packed once, and threads share the tiles of the right one.
void add_narrow_by_columns(const Product& product) {
  const BFloat16* packed_left = pack_narrow(product);
  at::parallel_for(0, product.right.tiles(), 1, [&](int64_t begin, int64_t end) {
    add_tiles(product, packed_left, begin, end);
    at::native::cpublas::brgemm_release();
  });
}

/// target [rows, columns] += the `count` matrices of that shape in `sums`, one after the other.
void add_sums(const float* sums, int64_t count, int64_t rows, int64_t columns, float* target, int64_t target_stride) {
  at::parallel_for(0, rows, 1 + kGrain / columns, [&](int64_t begin, int64_t end) {
    vectorized([&]() LUTHIER_INLINE_LAMBDA {
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t row = begin; row < end; ++row) {
          add_scaled(sums + (i * rows + row) * columns, 1, columns, target + row * target_stride);
        }
      }
    });
  });
}

/// For a narrow left operand and rows enough: each thread sums over its own rows, and the sums are added in the order
/// of the rows.
void add_narrow_by_rows(const Product& product) {
  const int64_t rows = product.turned ? product.right.columns : product.left.columns;
  const int64_t columns = product.turned ? product.left.columns : product.right.columns;
  const RowShares shares(product.rows, kRowMultiple);
  float* sums = scratch<float>(Scratch::partial, shares.count() * rows * columns);
  at::parallel_for(0, shares.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t share = begin; share < end; ++share) {
      float* sum = sums + share * rows * columns;
      std::fill_n(sum, rows * columns, 0.0f);
      const Product own = product.part(shares.begin(share), shares.end(share), sum, columns);
      add_tiles(own, pack_narrow(own), 0, own.right.tiles());
    }
    at::native::cpublas::brgemm_release();
  });
  add_sums(sums, shares.count(), rows, columns, product.target, product.target_stride);
}

/// Both operands are packed, and then the tiles are shared out.
void add_wide(const Product& product) {
  const int64_t left_tiles = product.left.tiles(), right_tiles = product.right.tiles(), depth = product.depth();
  BFloat16* packed_left = scratch<BFloat16>(Scratch::packed_a, left_tiles * kTile * product.left_stride());
  BFloat16* packed_right = scratch<BFloat16>(Scratch::packed_b, right_tiles * kTile * depth);
  at::parallel_for(0, left_tiles + right_tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t j = (task - left_tiles) * kTile;
      if (j < 0) {
        product.pack_left(task * kTile, packed_left);
      } else {
        product.pack_right(j, product.right.width(j), packed_right + j * depth);
      }
    }
  });
  at::parallel_for(0, left_tiles * right_tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / right_tiles * kTile, j = task % right_tiles * kTile;
      product.add_tile(i, j, packed_left, packed_right + j * depth, product.right.width(j));
    }
    at::native::cpublas::brgemm_release();
  });
}

}  // namespace

void packed_backward_weight(const at::Tensor& d_out, const at::Tensor& x, double scale, at::Tensor& d_weight) {
  const bool turned = x.size(1) < d_out.size(1);
  const bool narrow = std::min(x.size(1), d_out.size(1)) <= kTile;
  const int64_t threads = at::get_num_threads();
  const bool by_rows = narrow && x.size(0) >= kShareRows * threads;
  const int64_t block = by_rows ? kNarrowRows * threads : narrow ? kNarrowRows : kWideRows;
  const Operand out{d_out.const_data_ptr<BFloat16>(), d_out.stride(0), d_out.size(1)};
  const Operand in{x.const_data_ptr<BFloat16>(), x.stride(0), x.size(1)};
  for (int64_t first = 0; first < x.size(0); first += block) {
    const Product product{(turned ? in : out).from(first),
                          (turned ? out : in).from(first),
                          std::min(block, x.size(0) - first),
                          static_cast<float>(scale),
                          d_weight.mutable_data_ptr<float>(),
                          d_weight.stride(0),
                          turned};
    if (by_rows) {
      add_narrow_by_rows(product);
    } else if (narrow) {
      add_narrow_by_columns(product);
    } else {
      add_wide(product);
    }
  }
}

}  // namespace luthier::cpu
