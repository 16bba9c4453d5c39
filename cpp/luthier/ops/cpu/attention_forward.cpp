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

constexpr int32_t kMostRows = 384, kMostKeys = 64;
constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

/// One thread's memory: a block's queries, one tile of scores, and the transposed output.
template <class Operand>
struct ForwardScratch {
  ForwardScratch(Arena& arena, const TileShape& shape)
      : limits{arena.take<int32_t>(shape.columns), arena.take<int32_t>(shape.columns)},
        rows(arena.take<Operand>(shape.columns * shape.size)),
        queries(arena.take<Operand>(shape.columns * shape.size + 64)),
        keys(arena.take<Operand>(kMostKeys * shape.size)),
        values(arena.take<Operand>(kMostKeys * shape.size)),
        scores(arena.take<float>(kMostKeys * shape.columns)),
        probabilities(arena.take<Operand>(kMostKeys * shape.columns)),
        out(arena.take<float>(shape.size * shape.columns)),
        maximum(arena.take<float>(shape.columns)),
        sum(arena.take<float>(shape.columns)),
        correction(arena.take<float>(shape.columns)) {}

  RowLimits limits;
  Operand *rows, *queries, *keys, *values;
  float* scores;
  Operand* probabilities;
  float *out, *maximum, *sum, *correction;
};

template <class Storage, class Operand>
class Forward {
 public:
  Forward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, at::Tensor& out,
          at::Tensor& log_sum_exp)
      : plan_(plan),
        blocks_(make_blocks(plan, kMostRows)),
        shape_(plan, blocks_),
        kernels_(kernels_for<Operand>(instruction_set())),
        product_(instruction_set()),
        q_(q),
        k_(k),
        v_(v),
        out_(out),
        log_sum_exp_(log_sum_exp.data_ptr<float>()) {}

  void run() {
    // The dearest blocks first, so that the threads end together.
    std::vector<int32_t> order(blocks_.blocks.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return blocks_.blocks[static_cast<size_t>(a)].cost > blocks_.blocks[static_cast<size_t>(b)].cost;
    });
    const int64_t key_heads = plan_.shape.key_heads;
    const RowShares shares(plan_.queries);
    share_units<ForwardScratch<Operand>>(
        static_cast<int64_t>(order.size()) * key_heads, shape_,
        [&](int64_t unit) { return shares.of(blocks_.first_query(order[static_cast<size_t>(unit / key_heads)])); },
        [&](int64_t unit, ForwardScratch<Operand>& scratch) {
          const auto block = static_cast<size_t>(order[static_cast<size_t>(unit / key_heads)]);
          block_forward(blocks_.blocks[block], unit % key_heads, scratch);
        },
        [&] { product_.release(); });
  }

 private:
  using Scratch = ForwardScratch<Operand>;

  void block_forward(const QueryBlock& block, int64_t key_head, Scratch& s) {
    s.limits.fill(plan_, blocks_, block, shape_);
    gather_rows(blocks_, block, shape_, key_head, q_, s.rows);
    kernels_.transpose_to_pairs(s.rows, shape_.columns, shape_.size, shape_.size, s.queries, shape_.columns);
    std::fill(s.maximum, s.maximum + block.rows, -std::numeric_limits<float>::infinity());
    std::fill(s.sum, s.sum + block.rows, 0.0f);
    each_key_tile(plan_, blocks_, block, shape_, s.limits, kMostKeys,
                  [&](KeyTile& tile) { tile_forward(tile, key_head, s); });
    finish(block, key_head, s);
  }

  void tile_forward(KeyTile& tile, int64_t key_head, Scratch& s) {
    ScoreTile& scores = tile.scores;
    const int64_t columns = shape_.columns, size = shape_.size;
    if constexpr (std::is_same_v<Storage, Operand>) {
      // In decoding a member is one query: a product of so few columns would be mostly padding.
      if (kernels_.few_columns != nullptr && scores.columns <= kMostFewColumns && !scores.masked &&
          plan_.shape.soft_cap == 0) {
        const int64_t key = tile.key;
        kernels_.few_columns(
            {s.rows + tile.column * size, scores.columns, size, k_.data + key * k_.stride + key_head * size,
             v_.data + key * v_.stride + key_head * size, scores.keys, k_.stride, v_.stride},
            static_cast<float>(plan_.shape.scale) * kLog2E, s.maximum + tile.column, s.sum + tile.column,
            s.out + tile.column, columns, tile.first);
        return;
      }
    }
    const OperandRows<Operand> keys = key_rows(k_, tile.key, scores.keys, scores.padded_keys, key_head, size, s.keys);
    product_(scores.padded_keys, tile.padded_columns, size, keys.data, keys.stride,
             s.queries + tile.column * kPair<Operand>, columns, s.scores, columns, false);
    auto scale = static_cast<float>(plan_.shape.scale) * kLog2E;
    if (plan_.shape.soft_cap > 0) {
      kernels_.cap(scores, s.scores, static_cast<float>(plan_.shape.scale), static_cast<float>(plan_.shape.soft_cap));
      scale = kLog2E;
    }
    const bool grown = kernels_.softmax(scores, s.scores, scale, s.maximum + tile.column, s.sum + tile.column,
                                        s.correction, s.probabilities);
    if (grown && !tile.first) kernels_.scale_columns(s.out + tile.column, size, scores.columns, columns, s.correction);
    const OperandRows<Operand> values = key_rows(v_, tile.key, scores.keys, scores.keys, key_head, size, s.keys);
    kernels_.transpose(values.data, scores.keys, size, values.stride, s.values, kMostKeys);
    product_(size, tile.padded_columns, scores.padded_keys, s.values, kMostKeys, s.probabilities, columns,
             s.out + tile.column, columns, !tile.first);
  }

  void finish(const QueryBlock& block, int64_t key_head, Scratch& s) {
    each_row(blocks_, block, shape_, key_head, [&](int64_t row, int64_t query, int64_t head) {
      log_sum_exp_[query * plan_.shape.heads + head] = (s.maximum[row] + std::log2(s.sum[row])) * kLn2;
    });
    for (int32_t row = 0; row < block.rows; ++row) s.correction[row] = 1 / s.sum[row];
    kernels_.transpose_from(s.out, shape_.size, block.rows, shape_.columns, s.correction, s.rows);
    scatter_rows(blocks_, block, shape_, key_head, s.rows, out_);
  }

  const AttentionPlan& plan_;
  const Blocks blocks_;
  const TileShape shape_;
  const AttentionKernels<Operand>& kernels_;
  const TileProduct<Operand> product_;
  const HeadRows<const Storage> q_, k_, v_;
  const HeadRows<Storage> out_;
  float* log_sum_exp_;
};

}  // namespace

void attention_forward(const AttentionPlan& plan, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       at::Tensor& out, at::Tensor& log_sum_exp) {
  using c10::BFloat16;
  if (plan.queries == 0) return;
  if (q.scalar_type() == at::kFloat)
    Forward<float, float>(plan, q, k, v, out, log_sum_exp).run();
  else if (instruction_set() >= InstructionSet::avx512 && plan.shape.head_size % 2 == 0)
    Forward<BFloat16, BFloat16>(plan, q, k, v, out, log_sum_exp).run();
  else
    Forward<BFloat16, float>(plan, q, k, v, out, log_sum_exp).run();
}

}  // namespace luthier::cpu
