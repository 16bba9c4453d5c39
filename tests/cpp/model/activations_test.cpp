#include "luthier/model/activations.h"

#include <gtest/gtest.h>

#include "tiny_decoder.h"

namespace luthier {
namespace {

using testing::tiny_decoder;

int64_t storage(std::initializer_list<at::Tensor> tensors) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.defined()) bytes += static_cast<int64_t>(tensor.storage().nbytes());
  }
  return bytes;
}

int64_t storage(const Activations& a) {
  int64_t bytes = storage({a.normed, a.gated, a.final_in, a.final_rstd, a.hidden});
  for (size_t i = 1; i < a.inputs.size(); ++i) bytes += storage({a.inputs[i]});  // the first is the layers' own
  for (const LayerActivations& l : a.layers) {
    bytes += storage({l.input, l.attention_rstd, l.attention_tail, l.query_key_value, l.attention_out, l.log_sum_exp,
                      l.middle, l.feed_forward_rstd, l.feed_forward_tail, l.gate_up, l.down_tail, l.query_key,
                      l.query_rstd, l.key_rstd, l.attention_delta, l.attention_after_rstd, l.feed_forward_delta,
                      l.feed_forward_after_rstd});
  }
  return bytes;
}

int64_t storage(const Gradients& g) {
  return storage({g.joined_stream, g.joined_block, g.normed, g.query_key_value, g.attention_out, g.gated, g.update});
}

TEST(Activations, TheCountedBytesAreThoseThatAreAllocated) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const bool adapter : {false, true}) {
      Decoder decoder = tiny_decoder(true, false, type);
      if (adapter) {
        decoder.config.norms = NormPlacement::both;
        decoder.config.query_key_norm = QueryKeyNorm::per_head;
      }
      if (adapter) {
        resize_update(decoder.layers[0].query_key_value, {3, 0, 0});
        resize_update(decoder.layers[1].down, {5});
      }
      for (const int64_t rows : {1, 37}) {
        const int64_t backward = storage(Gradients(decoder, rows));
        for (const Keep keep : {Keep::nothing, Keep::inputs, Keep::all}) {
          const int64_t forward = storage(Activations(decoder, rows, keep));
          EXPECT_EQ(pass_bytes(decoder, rows, keep), forward + (keep == Keep::nothing ? 0 : backward));
        }
      }
    }
  }
}

TEST(Activations, CountingAllocatesNothing) {
  const Decoder decoder = tiny_decoder();
  // As many rows as no machine has memory for.
  EXPECT_GT(pass_bytes(decoder, int64_t{1} << 45, Keep::all), int64_t{1} << 50);
}

}  // namespace
}  // namespace luthier
