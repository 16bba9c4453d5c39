#include <ATen/ops/empty.h>
#include <c10/util/BFloat16.h>

#include <cmath>
#include <numeric>

#include "luthier/ops/cpu/attention.h"
#include "luthier/ops/cpu/attention_tiles.h"
#include "luthier/ops/cpu/row_shares.h"
#include "luthier/ops/cpu/share_units.h"
#include "luthier/ops/cpu/tile_product.h"

namespace luthier::cpu {
namespace {

constexpr int32_t kMostRows = 192, kMostKeys = 64;
constexpr int64_t kUnitsPerThread = 8;
constexpr float kLog2E = 1.44269504f;

struct BackwardShape : TileShape {
  BackwardShape(const AttentionPlan& plan, const Blocks& blocks, const BackwardUnits& units)
      : TileShape(plan, blocks), keys(units.most_rows + kMostKeys) {}
  int64_t keys;  // rows of a unit's sums; a tile's zero rows may reach past its last key
};

/// One thread's memory: a block's rows as operands, one tile of scores and its gradient, and a unit's sums.
template <class Operand>
struct BackwardScratch {
  BackwardScratch(Arena& arena, const BackwardShape& shape)
      : limits{arena.take<int32_t>(shape.columns), arena.take<int32_t>(shape.columns)},
        rows(arena.take<Operand>(shape.columns * shape.size)),
        out(arena.take<Operand>(shape.columns * shape.size)),
        queries(arena.take<Operand>(shape.columns * shape.size + 64)),
        query_pairs(arena.take<Operand>(shape.columns * shape.size)),
        d_out(arena.take<Operand>(shape.columns * shape.size + 64)),
        d_out_pairs(arena.take<Operand>(shape.columns * shape.size)),
        keys(arena.take<Operand>(kMostKeys * shape.size)),
        values(arena.take<Operand>(kMostKeys * shape.size)),
        keys_transposed(arena.take<Operand>(kMostKeys * shape.size)),
        scores(arena.take<float>(kMostKeys * shape.columns)),
        d_p(arena.take<float>(kMostKeys * shape.columns)),
        p(arena.take<Operand>(kMostKeys * shape.columns)),
        d_s(arena.take<Operand>(kMostKeys * shape.columns)),
        d_s_pairs(kPair<Operand> == 1 ? d_s : arena.take<Operand>(kMostKeys * shape.columns)),
        d_q(arena.take<float>(shape.size * shape.columns)),
        log_sum_exp(arena.take<float>(shape.columns)),
        delta(arena.take<float>(shape.columns)),
        scale(arena.take<float>(shape.columns)),
        d_k(arena.take<float>(shape.keys * shape.size)),
        d_v(arena.take<float>(shape.keys * shape.size)) {}

  RowLimits limits;
  Operand *rows, *out, *queries, *query_pairs, *d_out, *d_out_pairs, *keys, *values, *keys_transposed;
  float *scores, *d_p;
  Operand *p, *d_s, *d_s_pairs;
  float *d_q, *log_sum_exp, *delta, *scale, *d_k, *d_v;
};

int64_t unit_count(const AttentionPlan& plan) {
  const int64_t units = kUnitsPerThread * at::get_num_threads();
  return (units + plan.shape.key_heads - 1) / plan.shape.key_heads;
}

/// Whether bf16 operands are multiplied as they are.
bool multiplies_bfloat16(const AttentionPlan& plan) {
  return instruction_set() >= InstructionSet::avx512 && plan.shape.head_size % 2 == 0;
}

template <class Storage, class Operand>
class Backward {
 public:
  Backward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
           const at::Tensor& out, const at::Tensor& log_sum_exp, const at::Tensor& d_out, at::Tensor& d_q,
           at::Tensor& d_k, at::Tensor& d_v)
      : plan_(plan),
        blocks_(make_blocks(plan, kMostRows)),
        units_(make_backward_units(plan, blocks_, unit_count(plan))),
        shape_(plan, blocks_, units_),
        kernels_(kernels_for<Operand>(instruction_set())),
        product_(instruction_set()),
        q_(q),
        k_(k),
        v_(v),
        out_(out),
        d_out_(d_out),
        d_q_(d_q),
        d_k_(d_k),
        d_v_(d_v),
        log_sum_exp_(log_sum_exp.data_ptr<float>()) {
    partials_ = at::empty({2, plan.shape.key_heads, units_.partial_rows, plan.shape.head_size}, at::kFloat);
  }

  void run() {
    std::vector<int32_t> order(units_.units.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return units_.units[static_cast<size_t>(a)].cost > units_.units[static_cast<size_t>(b)].cost;
    });
    const int64_t key_heads = plan_.shape.key_heads;
    const RowShares shares(plan_.queries);
    share_units<Scratch>(
        static_cast<int64_t>(order.size()) * key_heads, shape_,
        [&](int64_t unit) {
          const BackwardUnit& drawn = units_.units[static_cast<size_t>(order[static_cast<size_t>(unit / key_heads)])];
          return shares.of(blocks_.first_query(drawn.block_begin));
        },
        [&](int64_t unit, Scratch& scratch) {
          const auto index = static_cast<size_t>(order[static_cast<size_t>(unit / key_heads)]);
          unit_backward(units_.units[index], unit % key_heads, scratch);
        },
        [&] { product_.release(); });
    add_partials();
    for (const KeyRange& range : units_.unseen) {
      const auto width = static_cast<int64_t>(key_heads * shape_.size);
      for (int64_t key = range.begin; key < range.end; ++key) {
        std::fill_n(d_k_.data + key * d_k_.stride, width, Storage(0));
        std::fill_n(d_v_.data + key * d_v_.stride, width, Storage(0));
      }
    }
  }

 private:
  using Scratch = BackwardScratch<Operand>;

  void unit_backward(const BackwardUnit& unit, int64_t key_head, Scratch& s) {
    int64_t rows = 0;
    if (!unit.runs.empty()) rows = unit.runs.back().offset + (unit.runs.back().end - unit.runs.back().begin);
    std::fill_n(s.d_k, rows * shape_.size, 0.0f);
    std::fill_n(s.d_v, rows * shape_.size, 0.0f);
    std::fill_n(s.scale, shape_.columns, static_cast<float>(plan_.shape.scale));
    for (int32_t block = unit.block_begin; block < unit.block_end; ++block)
      block_backward(unit, blocks_.blocks[static_cast<size_t>(block)], key_head, s);
    finish(unit, key_head, s);
  }

  void block_backward(const BackwardUnit& unit, const QueryBlock& block, int64_t key_head, Scratch& s) {
    const int64_t columns = shape_.columns, size = shape_.size;
    s.limits.fill(plan_, blocks_, block, shape_);
    gather_rows(blocks_, block, shape_, key_head, q_, s.rows);
    kernels_.transpose_to_pairs(s.rows, columns, size, size, s.queries, columns);
    kernels_.pair_rows(s.rows, columns, size, s.query_pairs);
    gather_rows(blocks_, block, shape_, key_head, d_out_, s.rows);
    kernels_.transpose_to_pairs(s.rows, columns, size, size, s.d_out, columns);
    kernels_.pair_rows(s.rows, columns, size, s.d_out_pairs);
    // Rows of the block without a query: a probability of zero.
    std::fill_n(s.log_sum_exp, columns, 1e30f);
    each_row(blocks_, block, shape_, key_head, [&](int64_t row, int64_t query, int64_t head) {
      s.log_sum_exp[row] = log_sum_exp_[query * plan_.shape.heads + head] * kLog2E;
    });
    gather_rows(blocks_, block, shape_, key_head, out_, s.out);
    kernels_.dot_rows(s.rows, s.out, columns, size, s.delta);
    std::fill_n(s.d_q, size * columns, 0.0f);
    each_key_tile(plan_, blocks_, block, shape_, s.limits, kMostKeys,
                  [&](const KeyTile& tile) { tile_backward(unit, tile, key_head, s); });
    kernels_.transpose_from(s.d_q, size, block.rows, columns, s.scale, s.rows);
    scatter_rows(blocks_, block, shape_, key_head, s.rows, d_q_);
  }

  void tile_backward(const BackwardUnit& unit, const KeyTile& tile, int64_t key_head, Scratch& s) {
    const ScoreTile& scores = tile.scores;
    const int64_t columns = shape_.columns, size = shape_.size, padded = scores.padded_keys;
    const int64_t pair_offset = tile.column * kPair<Operand>;
    const OperandRows<Operand> keys = key_rows(k_, tile.key, scores.keys, padded, key_head, size, s.keys);
    const OperandRows<Operand> values = key_rows(v_, tile.key, scores.keys, padded, key_head, size, s.values);
    product_(padded, tile.padded_columns, size, keys.data, keys.stride, s.queries + pair_offset, columns, s.scores,
             columns, false);
    product_(padded, tile.padded_columns, size, values.data, values.stride, s.d_out + pair_offset, columns, s.d_p,
             columns, false);
    auto scale = static_cast<float>(plan_.shape.scale) * kLog2E;
    float inverse_cap = 0;
    if (plan_.shape.soft_cap > 0) {
      kernels_.cap(scores, s.scores, static_cast<float>(plan_.shape.scale), static_cast<float>(plan_.shape.soft_cap));
      scale = kLog2E;
      inverse_cap = static_cast<float>(1 / plan_.shape.soft_cap);
    }
    kernels_.backward(scores, s.scores, s.d_p, scale, inverse_cap, s.log_sum_exp + tile.column, s.delta + tile.column,
                      s.p, s.d_s, s.d_s_pairs);

    const int64_t row = sum_row(unit, tile.key) * size;
    product_(padded, size, tile.padded_columns, s.p, columns, s.d_out_pairs + tile.column * size, size, s.d_v + row,
             size, true);
    product_(padded, size, tile.padded_columns, s.d_s, columns, s.query_pairs + tile.column * size, size, s.d_k + row,
             size, true);
    kernels_.transpose(keys.data, padded, size, keys.stride, s.keys_transposed, kMostKeys);
    product_(size, tile.padded_columns, padded, s.keys_transposed, kMostKeys, s.d_s_pairs, columns, s.d_q + tile.column,
             columns, true);
  }

  /// The row of a unit's sums that belongs to a key.
  static int64_t sum_row(const BackwardUnit& unit, int32_t key) {
    const auto after = std::upper_bound(unit.runs.begin(), unit.runs.end(), key,
                                        [](int32_t value, const KeyRun& run) { return value < run.begin; });
    const KeyRun& run = *(after - 1);
    return run.offset + (key - run.begin);
  }

  /// Writes the sums of keys that only this unit sees, and keeps the others.
  void finish(const BackwardUnit& unit, int64_t key_head, Scratch& s) {
    const int64_t size = shape_.size;
    for (const KeyPiece& piece : unit.pieces) {
      const int64_t count = piece.end - piece.begin;
      const float *d_k = s.d_k + piece.offset * size, *d_v = s.d_v + piece.offset * size;
      if (piece.partial >= 0) {
        std::copy_n(d_k, count * size, partial(0, key_head, piece.partial));
        std::copy_n(d_v, count * size, partial(1, key_head, piece.partial));
      } else {
        write_sums(piece.begin, piece.end, key_head, d_k, d_v);
      }
    }
  }

  /// Rounds sums [end - begin, size] into the gradients of keys [begin, end).
  void write_sums(int32_t begin, int32_t end, int64_t key_head, const float* d_k, const float* d_v) const {
    for (int32_t key = begin; key < end; ++key, d_k += shape_.size, d_v += shape_.size) {
      write_row(d_k, static_cast<float>(plan_.shape.scale), d_k_.data + key * d_k_.stride + key_head * shape_.size);
      write_row(d_v, 1, d_v_.data + key * d_v_.stride + key_head * shape_.size);
    }
  }

  void write_row(const float* sums, float factor, Storage* row) const {
    if constexpr (std::is_same_v<Storage, Operand>)
      kernels_.round(sums, shape_.size, factor, row);
    else
      for (int64_t i = 0; i < shape_.size; ++i) row[i] = static_cast<Storage>(sums[i] * factor);
  }

  /// Adds what the units have kept, in their order.
  void add_partials() {
    const int64_t size = shape_.size, key_heads = plan_.shape.key_heads;
    const auto shared = static_cast<int64_t>(units_.shared.size());
    at::parallel_for(0, shared * key_heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const SharedKeys& keys = units_.shared[static_cast<size_t>(i / key_heads)];
        const int64_t key_head = i % key_heads, count = (keys.end - keys.begin) * size;
        float *d_k = partial(0, key_head, keys.partials[0]), *d_v = partial(1, key_head, keys.partials[0]);
        for (size_t part = 1; part < keys.partials.size(); ++part) {
          const float* more_k = partial(0, key_head, keys.partials[part]);
          const float* more_v = partial(1, key_head, keys.partials[part]);
          for (int64_t j = 0; j < count; ++j) {
            d_k[j] += more_k[j];
            d_v[j] += more_v[j];
          }
        }
        write_sums(keys.begin, keys.end, key_head, d_k, d_v);
      }
    });
  }

  float* partial(int64_t which, int64_t key_head, int64_t row) {
    return partials_.data_ptr<float>() +
           ((which * plan_.shape.key_heads + key_head) * units_.partial_rows + row) * shape_.size;
  }

  const AttentionPlan& plan_;
  const Blocks blocks_;
  const BackwardUnits units_;
  const BackwardShape shape_;
  const AttentionKernels<Operand>& kernels_;
  const TileProduct<Operand> product_;
  const HeadRows<const Storage> q_, k_, v_, out_, d_out_;
  const HeadRows<Storage> d_q_, d_k_, d_v_;
  const float* log_sum_exp_;
  at::Tensor partials_;  // [2, key_heads, partial_rows, size]
};

template <class Operand>
int64_t count_scratch(const AttentionPlan& plan) {
  const int64_t key_heads = plan.shape.key_heads;
  const Blocks blocks = make_blocks(plan, kMostRows);
  const BackwardUnits units = make_backward_units(plan, blocks, unit_count(plan));
  const int64_t partials = 2 * key_heads * units.partial_rows * plan.shape.head_size * int64_t{sizeof(float)};
  return partials + shared_bytes<BackwardScratch<Operand>>(static_cast<int64_t>(units.units.size()) * key_heads,
                                                           BackwardShape(plan, blocks, units));
}

template <class Storage, class Operand, class... Arguments>
void run_backward(Arguments&&... arguments) {
  Backward<Storage, Operand>(std::forward<Arguments>(arguments)...).run();
}

}  // namespace

int64_t attention_scratch_bytes(const AttentionPlan& plan, at::ScalarType type) {
  if (plan.queries == 0) return 0;
  return type == at::kBFloat16 && multiplies_bfloat16(plan) ? count_scratch<c10::BFloat16>(plan)
                                                            : count_scratch<float>(plan);
}

void attention_backward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& out, const at::Tensor& log_sum_exp, const at::Tensor& d_out, at::Tensor& d_q,
                        at::Tensor& d_k, at::Tensor& d_v) {
  using c10::BFloat16;
  if (plan.queries == 0) {
    d_k.zero_();
    d_v.zero_();
  } else if (q.scalar_type() == at::kFloat) {
    run_backward<float, float>(plan, q, k, v, out, log_sum_exp, d_out, d_q, d_k, d_v);
  } else if (multiplies_bfloat16(plan)) {
    run_backward<BFloat16, BFloat16>(plan, q, k, v, out, log_sum_exp, d_out, d_q, d_k, d_v);
  } else {
    run_backward<BFloat16, float>(plan, q, k, v, out, log_sum_exp, d_out, d_q, d_k, d_v);
  }
}

}  // namespace luthier::cpu
