#include "luthier/model/decoder.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "luthier/base/error.h"

namespace luthier {

void Decoder::reserve_positions(int64_t positions) {
  const int64_t held = ropes.empty() ? 0 : ropes.front().cos.size(0);
  if (held >= positions) return;
  std::vector<RopeTable> longer;
  for (const RopeSettings& settings : config.ropes) {
    const int64_t most = settings.scaling.most_positions;
    if (most > 0 && positions > most) {
      fail_input("a row has ", positions, " tokens: this model rotates rows longer than ", most,
                 " with other factors (longrope), which is not supported");
    }
    longer.push_back(make_rope_table(settings, config.head_size, std::max(positions, 2 * held)));
  }
  ropes = std::move(longer);
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

std::vector<PlacedNorm> layer_norms(const DecoderConfig& c) {
  std::vector<PlacedNorm> norms;
  const auto add = [&](const char* name, Weight DecoderLayer::* weight) {
    norms.push_back({name, weight, c.hidden_size});
  };
  // Transformers calls the second norm of a layer post_attention_layernorm, wherever it stands.
  if (c.norm_before()) add("input_layernorm", &DecoderLayer::attention_norm);
  if (c.norms == NormPlacement::before) {
    add("post_attention_layernorm", &DecoderLayer::feed_forward_norm);
  } else {
    add("post_attention_layernorm", &DecoderLayer::attention_after_norm);
    if (c.norm_before()) add("pre_feedforward_layernorm", &DecoderLayer::feed_forward_norm);
    add("post_feedforward_layernorm", &DecoderLayer::feed_forward_after_norm);
  }
  if (c.query_key_norm != QueryKeyNorm::none) {
    const bool whole = c.query_key_norm == QueryKeyNorm::whole;
    norms.push_back({"self_attn.q_norm", &DecoderLayer::query_norm, whole ? c.query_columns() : c.head_size});
    norms.push_back({"self_attn.k_norm", &DecoderLayer::key_norm, whole ? c.key_columns() : c.head_size});
  }
  return norms;
}

std::vector<std::pair<std::string, int64_t>> query_key_value_parts(const DecoderConfig& c) {
  if (c.fused) return {{"qkv_proj", c.query_columns() + 2 * c.key_columns()}};
  return {{"q_proj", c.query_columns()}, {"k_proj", c.key_columns()}, {"v_proj", c.key_columns()}};
}

std::vector<std::pair<std::string, int64_t>> gate_up_parts(const DecoderConfig& c) {
  if (c.fused) return {{"gate_up_proj", 2 * c.intermediate_size}};
  return {{"gate_proj", c.intermediate_size}, {"up_proj", c.intermediate_size}};
}

namespace {

at::Tensor rows_of(const at::Tensor& tensor, const LinearPart& part) {
  return tensor.defined() ? tensor.narrow(0, part.begin, part.end - part.begin) : at::Tensor();
}

void train(Weight& weight, bool on) {
  weight.gradient = on ? at::zeros(weight.value.sizes(), at::kFloat) : at::Tensor();
  weight.gradient_begin = 0;
}

}  // namespace

std::vector<NamedWeight> named_weights(Decoder& decoder) {
  std::vector<NamedWeight> all{{"model.embed_tokens.weight", decoder.embedding.value, decoder.embedding.gradient}};
  std::vector<PlacedLinear> linears = linear_layers(decoder);
  auto linear = linears.begin();
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    const std::string prefix = concat("model.layers.", i, ".");
    for (const PlacedNorm& norm : layer_norms(decoder.config)) {
      const Weight& weight = decoder.layers[i].*norm.weight;
      all.push_back({concat(prefix, norm.name, ".weight"), weight.value, weight.gradient});
    }
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
    decoder.head.gradient_begin = 0;
  } else {
    train(decoder.head, on);
  }
  for (DecoderLayer& layer : decoder.layers) {
    for (const PlacedNorm& norm : layer_norms(decoder.config)) train(layer.*norm.weight, on);
  }
  for (PlacedLinear& placed : linear_layers(decoder)) {
    LinearLayer& layer = *placed.layer;
    layer.d_weight = on ? at::zeros({layer.out, layer.in}, at::kFloat) : at::Tensor();
    layer.d_bias = on && layer.bias.defined() ? at::zeros({layer.out}, at::kFloat) : at::Tensor();
  }
}

}  // namespace luthier
