#include "luthier/model/decoder.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "luthier/base/error.h"

namespace luthier {

void Decoder::reserve_positions(int64_t positions) {
  if (rope.cos.defined() && rope.cos.size(0) >= positions) return;
  const int64_t held = rope.cos.defined() ? rope.cos.size(0) : 0;
  rope = make_rope_table(config, std::max(positions, 2 * held));
}

std::string PlacedLinear::name_of(const LinearPart& part) const {
  return concat("model.layers.", index, ".", scope, ".", part.name);
}

std::vector<PlacedLinear> linear_layers(Decoder& decoder) {
  std::vector<PlacedLinear> all;
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    DecoderLayer& layer = decoder.layers[i];
    const int64_t index = static_cast<int64_t>(i);
    all.push_back({&layer.query_key_value, index, "self_attn"});
    all.push_back({&layer.output, index, "self_attn"});
    all.push_back({&layer.gate_up, index, "mlp"});
    all.push_back({&layer.down, index, "mlp"});
  }
  return all;
}

namespace {

at::Tensor rows_of(const at::Tensor& tensor, const LinearPart& part) {
  return tensor.defined() ? tensor.narrow(0, part.begin, part.end - part.begin) : at::Tensor();
}

void train(Weight& weight, bool on) {
  weight.gradient = on ? at::zeros(weight.value.sizes(), at::kFloat) : at::Tensor();
}

}  // namespace

std::vector<NamedWeight> named_weights(Decoder& decoder) {
  std::vector<NamedWeight> all{{"model.embed_tokens.weight", decoder.embedding.value, decoder.embedding.gradient}};
  std::vector<PlacedLinear> linears = linear_layers(decoder);
  auto linear = linears.begin();
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    const DecoderLayer& layer = decoder.layers[i];
    const std::string prefix = concat("model.layers.", i, ".");
    all.push_back({prefix + "input_layernorm.weight", layer.attention_norm.value, layer.attention_norm.gradient});
    all.push_back(
        {prefix + "post_attention_layernorm.weight", layer.feed_forward_norm.value, layer.feed_forward_norm.gradient});
    for (; linear != linears.end() && linear->index == static_cast<int64_t>(i); ++linear) {
      for (const LinearPart& part : linear->layer->parts) {
        const std::string name = linear->name_of(part);
        all.push_back({name + ".weight", rows_of(linear->layer->base(), part), rows_of(linear->layer->d_weight, part)});
        if (linear->layer->bias.defined()) {
          all.push_back({name + ".bias", rows_of(linear->layer->bias, part), rows_of(linear->layer->d_bias, part)});
        }
      }
    }
  }
  all.push_back({"model.norm.weight", decoder.final_norm.value, decoder.final_norm.gradient});
  if (!decoder.config.tied_head) all.push_back({"lm_head.weight", decoder.head.value, decoder.head.gradient});
  return all;
}

void train_all_weights(Decoder& decoder, bool on) {
  train(decoder.embedding, on);
  train(decoder.final_norm, on);
  if (decoder.config.tied_head) {
    decoder.head.gradient = decoder.embedding.gradient;
  } else {
    train(decoder.head, on);
  }
  for (DecoderLayer& layer : decoder.layers) {
    train(layer.attention_norm, on);
    train(layer.feed_forward_norm, on);
  }
  for (PlacedLinear& placed : linear_layers(decoder)) {
    LinearLayer& layer = *placed.layer;
    layer.d_weight = on ? at::zeros({layer.out, layer.in}, at::kFloat) : at::Tensor();
    layer.d_bias = on && layer.bias.defined() ? at::zeros({layer.out}, at::kFloat) : at::Tensor();
  }
}

}  // namespace luthier
