#include "luthier/model/pass.h"

#include <optional>

#include "luthier/base/error.h"
#include "luthier/model/layer_step.h"
#include "luthier/ops/embedding.h"
#include "luthier/ops/rms_norm.h"

namespace luthier {
namespace {

bool attention_trained(const DecoderLayer& layer) {
  return layer.query_key_value.trained() || layer.output.trained() || layer.attention_norm.gradient.defined() ||
         layer.query_norm.gradient.defined() || layer.attention_after_norm.gradient.defined();
}

bool trained(const DecoderLayer& layer) {
  return attention_trained(layer) || layer.gate_up.trained() || layer.down.trained() ||
         layer.feed_forward_norm.gradient.defined() || layer.feed_forward_after_norm.gradient.defined();
}

// As the decoder's type holds it: models in bf16 were trained with a scale in bf16.
double embedding_scale(const Decoder& decoder) {
  const double scale = decoder.config.embedding_scale;
  return decoder.type() == at::kBFloat16 ? static_cast<float>(c10::BFloat16(static_cast<float>(scale))) : scale;
}

}  // namespace

at::Tensor DecoderPass::forward(const ForestInput& input, bool keep) {
  return run(input, keep ? kept_ : Keep::nothing, nullptr, {});
}

at::Tensor DecoderPass::forward_cached(const ForestInput& input, KeyValueCache& cache, const at::Tensor& cache_rows) {
  return run(input, Keep::nothing, &cache, cache_rows);
}

at::Tensor DecoderPass::run(const ForestInput& input, Keep keep, KeyValueCache* cache, const at::Tensor& cache_rows) {
  const DecoderConfig& c = decoder_.config;
  const int64_t rows = input.tokens.size(0);
  decoder_.reserve_positions(input.most_positions);
  if (!activations_ || activations_->capacity < rows || activations_->keep != keep) {
    activations_.reset();
    activations_ = std::make_unique<Activations>(decoder_, rows, keep);
  }
  Activations& a = *activations_;

  std::optional<LayerStep> step = make_layer_step(decoder_, a, input, 0);
  embedding_forward(input.tokens, decoder_.embedding.value, embedding_scale(decoder_), step->saved.input);
  enter_block(c, step->saved.input, {}, step->weights.attention_norm, step->attention_in.narrow(1, 0, c.hidden_size),
              step->saved.attention_rstd);
  for (size_t i = 0; i + 1 < decoder_.layers.size(); ++i) {
    // The block's output is written where the next layer's input stands, and the residual stream is added to it there.
    LayerStep next = make_layer_step(decoder_, a, input, i + 1);
    layer_forward(*step, next.saved.input, cache, i, cache_rows);
    enter_block(c, next.saved.input, step->saved.middle, next.weights.attention_norm,
                next.attention_in.narrow(1, 0, c.hidden_size), next.saved.attention_rstd);
    step.emplace(std::move(next));
  }
  const int64_t asked = step->saved.middle.size(0);
  at::Tensor final_in = a.final_in.narrow(0, 0, asked);
  at::Tensor final_rstd = a.final_rstd.narrow(0, 0, asked);
  at::Tensor hidden = a.hidden.narrow(0, 0, asked);
  layer_forward(*step, final_in, cache, decoder_.layers.size() - 1, cache_rows);
  enter_block(c, final_in, step->saved.middle, decoder_.final_norm, hidden, final_rstd);
  return hidden;
}

void DecoderPass::backward(const ForestInput& input, const at::Tensor& d_hidden) {
  LUTHIER_CHECK(activations_ && activations_->keep != Keep::nothing, "[backward] the last forward kept nothing");
  Activations& a = *activations_;
  const int64_t rows = input.tokens.size(0), asked = d_hidden.size(0);
  if (!gradients_ || gradients_->capacity < rows) {
    gradients_.reset();
    gradients_ = std::make_unique<Gradients>(decoder_, a.capacity);
  }
  at::Tensor stream = gradients_->stream(asked);
  stream.zero_();
  rms_norm_backward(d_hidden, a.final_in.narrow(0, 0, asked), decoder_.final_norm.value,
                    a.final_rstd.narrow(0, 0, asked), stream, decoder_.final_norm.gradient,
                    decoder_.config.norm_offset);

  const bool embedding = decoder_.embedding.gradient.defined();
  size_t lowest = embedding ? 0 : decoder_.layers.size();
  for (size_t i = decoder_.layers.size(); i-- > 0;) {
    if (trained(decoder_.layers[i])) lowest = i;
  }
  for (size_t i = decoder_.layers.size(); i-- > lowest;) {
    LayerStep step = make_layer_step(decoder_, a, input, i);
    // The buffers that the layers share still hold the last one.
    if (a.keep == Keep::inputs && i + 1 < decoder_.layers.size()) layer_states_again(step);
    BackwardReach reach;
    const bool below = i > lowest || embedding;
    reach.attention = below || attention_trained(step.weights);
    reach.input = below || step.weights.attention_norm.gradient.defined();
    layer_backward(step, *gradients_, reach);
  }
  if (embedding) {
    embedding_backward(input.tokens, gradients_->stream(rows), embedding_scale(decoder_), decoder_.embedding.gradient,
                       decoder_.embedding.gradient_begin);
  }
}

void DecoderPass::release() {
  activations_.reset();
  gradients_.reset();
}

}  // namespace luthier
