#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

#include "luthier/ops/cpu/few_rows.h"
#include "luthier/ops/cpu/softmax_tile.h"
#include "luthier/ops/cpu/token_logprob.h"
#include "luthier/ops/cpu/types.h"
#include "luthier/ops/cpu/vectorize.h"
#include "luthier/ops/row_product.h"

namespace luthier::cpu {
namespace {

constexpr int64_t kVocabularyTile = 2048, kRowBlock = 512;
constexpr int64_t kFewRows = 64;  // of which a product with the head is as fast as with more

LUTHIER_INLINE Normaliser normaliser_of(const float* logits, float scale, int64_t count) {
  Normaliser row;
  float maximum = row.maximum;
#pragma omp simd reduction(max : maximum)
  for (int64_t v = 0; v < count; ++v) maximum = scale * logits[v] > maximum ? scale * logits[v] : maximum;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t v = 0; v < count; ++v) sum += exponential(scale * logits[v] - maximum);
  return {maximum, sum};
}

/// Turns a row of logits into the gradient with respect to head hidden'.
LUTHIER_INLINE void gradient_row(float* logits, float scale, float log_sum_exp, float gradient, int64_t count) {
  const float factor = -gradient * scale;
#pragma omp simd
  for (int64_t v = 0; v < count; ++v) logits[v] = factor * exponential(scale * logits[v] - log_sum_exp);
}

/// The same for a row of capped logits, z = cap tanh(scale x / cap), which has them already; slope: of z at zero.
LUTHIER_INLINE void capped_gradient_row(float* logits, float slope, float inverse_cap, float log_sum_exp,
                                        float gradient, int64_t count) {
  const float factor = -gradient * slope;
#pragma omp simd
  for (int64_t v = 0; v < count; ++v) {
    const float ratio = logits[v] * inverse_cap;
    logits[v] = factor * (1 - ratio * ratio) * exponential(logits[v] - log_sum_exp);
  }
}

/// What is left to do to a tile of products after this: multiply by the factor that is returned.
float cap_tile(at::Tensor& tile, const LogitMap& map) {
  if (map.soft_cap == 0) return static_cast<float>(map.scale);
  tile.mul_(map.scale / map.soft_cap).tanh_().mul_(map.soft_cap);
  return 1;
}

/// Calls body(first row, rows, first token, hidden in fp32, head in fp32, logits before scaling) for each tile.
template <class Body>
void for_each_tile(const at::Tensor& hidden, const at::Tensor& head, const Body& body) {
  const int64_t rows = hidden.size(0), vocabulary = head.size(0);
  const at::Tensor buffer = at::empty({std::min(kRowBlock, rows) * std::min(kVocabularyTile, vocabulary)}, at::kFloat);
  for (int64_t row = 0; row < rows; row += kRowBlock) {
    const at::Tensor some = hidden.narrow(0, row, std::min(kRowBlock, rows - row)).to(at::kFloat);
    for (int64_t token = 0; token < vocabulary; token += kVocabularyTile) {
      const at::Tensor tile = head.narrow(0, token, std::min(kVocabularyTile, vocabulary - token)).to(at::kFloat);
      at::Tensor logits = buffer.narrow(0, 0, some.size(0) * tile.size(0)).view({some.size(0), tile.size(0)});
      row_product(logits, some, tile.t(), /*accumulate=*/false);
      body(row, token, some, tile, logits);
    }
  }
}

}  // namespace

void tiled_logprob_forward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const LogitMap& map, at::Tensor& log_probs, at::Tensor& log_sum_exp) {
  const int64_t rows = hidden.size(0);
  const int32_t* target = targets.const_data_ptr<int32_t>();
  float *log_prob = log_probs.mutable_data_ptr<float>(), *normal = log_sum_exp.mutable_data_ptr<float>();
  std::vector<Normaliser> normalisers(rows);
  for_each_tile(hidden, head, [&](int64_t row, int64_t token, const auto&, const auto&, at::Tensor& logits) {
    const float factor = cap_tile(logits, map);
    const float* tile = logits.const_data_ptr<float>();
    const int64_t width = logits.size(1);
    at::parallel_for(0, logits.size(0), row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        Normaliser more;
        vectorized([&]() LUTHIER_INLINE_LAMBDA { more = normaliser_of(tile + r * width, factor, width); });
        merge(normalisers[row + r], more);
        const int64_t column = target[row + r] - token;
        if (column >= 0 && column < width) log_prob[row + r] = factor * tile[r * width + column];
      }
    });
  });
  for (int64_t r = 0; r < rows; ++r) {
    normal[r] = log_sum_exp_of(normalisers[r]);
    log_prob[r] -= normal[r];
  }
}

void tiled_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                            const LogitMap& map, const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs,
                            at::Tensor& d_hidden, at::Tensor d_head, int64_t first) {
  const float slope = static_cast<float>(map.scale);
  const float inverse_cap = map.soft_cap > 0 ? static_cast<float>(1 / map.soft_cap) : 0;
  const int32_t* target = targets.const_data_ptr<int32_t>();
  const float *normal = log_sum_exp.const_data_ptr<float>(), *gradient = d_log_probs.const_data_ptr<float>();
  at::Tensor d_wide = at::zeros(hidden.sizes(), at::kFloat);
  for_each_tile(
      hidden, head,
      [&](int64_t row, int64_t token, const at::Tensor& some, const at::Tensor& head_tile, at::Tensor& logits) {
        cap_tile(logits, map);
        float* tile = logits.mutable_data_ptr<float>();
        const int64_t width = logits.size(1);
        at::parallel_for(0, logits.size(0), row_grain(width), [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r) {
            float* line = tile + r * width;
            const int64_t column = target[row + r] - token;
            const bool holds_target = column >= 0 && column < width;
            const float ratio = holds_target && inverse_cap > 0 ? line[column] * inverse_cap : 0;
            vectorized([&]() LUTHIER_INLINE_LAMBDA {
              if (inverse_cap > 0) {
                capped_gradient_row(line, slope, inverse_cap, normal[row + r], gradient[row + r], width);
              } else {
                gradient_row(line, slope, normal[row + r], gradient[row + r], width);
              }
            });
            if (holds_target) line[column] += gradient[row + r] * slope * (1 - ratio * ratio);
          }
        });
        at::Tensor d_some = d_wide.narrow(0, row, some.size(0));
        row_product(d_some, logits, head_tile, /*accumulate=*/true);
        if (!d_head.defined()) return;
        const int64_t begin = std::max(token, first), end = std::min(token + width, first + d_head.size(0));
        if (begin >= end) return;
        at::Tensor d_tile = d_head.narrow(0, begin - first, end - begin);
        row_product(d_tile, logits.narrow(1, begin - token, end - begin).t(), some, /*accumulate=*/true);
      });
  d_hidden.copy_(d_wide);
}

int64_t tiled_logprob_scratch_bytes(int64_t rows, int64_t columns, int64_t vocabulary, at::ScalarType type) {
  const int64_t block = std::min(kRowBlock, rows), tile = std::min(kVocabularyTile, vocabulary);
  const int64_t widened = type == at::kFloat ? 0 : (block + tile) * columns;
  return (block * tile + widened + rows * columns) * int64_t{sizeof(float)};
}

void logits_forward(const at::Tensor& hidden, const at::Tensor& head, const LogitMap& map, at::Tensor& logits) {
  if (few_rows_takes(hidden.narrow(0, 0, std::min(kFewRows, hidden.size(0))))) {
    for (int64_t row = 0; row < hidden.size(0); row += kFewRows) {
      const int64_t rows = std::min(kFewRows, hidden.size(0) - row);
      at::Tensor some = logits.narrow(0, row, rows);
      few_rows_product(hidden.narrow(0, row, rows), head, 1, at::Tensor(), /*accumulate=*/false, some);
    }
  } else {
    for_each_tile(hidden, head, [&](int64_t row, int64_t token, const auto&, const auto&, const at::Tensor& tile) {
      logits.narrow(0, row, tile.size(0)).narrow(1, token, tile.size(1)).copy_(tile);
    });
  }
  const float factor = cap_tile(logits, map);
  if (factor != 1) logits.mul_(factor);
}

}  // namespace luthier::cpu
