#include <ATen/TensorOperators.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "luthier/base/error.h"
#include "luthier/formats/gguf.h"
#include "luthier/model/convert_tensor.h"
#include "luthier/model/families/family.h"
#include "luthier/model/weight_source.h"

namespace luthier {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;
using Names = std::vector<Pair>;

// Names of tensors of one layer: Transformers' behind "model.layers.N.", GGUF's behind "blk.N.".
Names layer_names(const DecoderConfig& config) {
  Names names{{"self_attn.o_proj", "attn_output"}, {"mlp.down_proj", "ffn_down"}};
  const auto add = [&](std::initializer_list<Pair> more) { names.insert(names.end(), more); };
  if (config.fused) {
    add({{"self_attn.qkv_proj", "attn_qkv"}, {"mlp.gate_up_proj", "ffn_up"}});
  } else {
    add({{"self_attn.q_proj", "attn_q"}, {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"}});
    add({{"mlp.gate_proj", "ffn_gate"}, {"mlp.up_proj", "ffn_up"}});
  }
  if (config.norm_before()) add({{"input_layernorm", "attn_norm"}});
  if (config.norms == NormPlacement::before) {
    add({{"post_attention_layernorm", "ffn_norm"}});
  } else {
    add({{"post_attention_layernorm", "post_attention_norm"}, {"post_feedforward_layernorm", "post_ffw_norm"}});
    if (config.norm_before()) add({{"pre_feedforward_layernorm", "ffn_norm"}});
  }
  if (config.query_key_norm != QueryKeyNorm::none) {
    add({{"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"}});
  }
  return names;
}

const Names& outer_names() {
  static const Names names{{"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}};
  return names;
}

constexpr std::string_view kLayerPrefix = "model.layers.", kBlockPrefix = "blk.";

// Splits "model.layers.3.mlp.up_proj.weight" after a prefix into "3", "mlp.up_proj" and "weight".
struct SplitName {
  std::string_view index, module, kind;
};

SplitName split(std::string_view name, std::string_view prefix) {
  SplitName result;
  const size_t dot = name.rfind('.');
  result.kind = dot == std::string_view::npos ? "" : name.substr(dot + 1);
  result.module = name.substr(0, dot);
  if (result.module.starts_with(prefix)) {
    const std::string_view rest = result.module.substr(prefix.size());
    result.index = rest.substr(0, rest.find('.'));
    result.module = rest.size() > result.index.size() ? rest.substr(result.index.size() + 1) : "";
  }
  return result;
}

std::optional<std::string_view> translate(const Names& names, std::string_view from, bool to_gguf) {
  for (const auto& [transformers, gguf] : names) {
    if (from == (to_gguf ? transformers : gguf)) return to_gguf ? gguf : transformers;
  }
  return std::nullopt;
}

std::optional<std::string> rename(const Names& layer_names, std::string_view name, bool to_gguf) {
  const SplitName parts = split(name, to_gguf ? kLayerPrefix : kBlockPrefix);
  if (parts.index.empty()) {
    const auto module = translate(outer_names(), parts.module, to_gguf);
    return module ? std::optional(concat(*module, ".", parts.kind)) : std::nullopt;
  }
  const auto module = translate(layer_names, parts.module, to_gguf);
  if (!module) return std::nullopt;
  return concat(to_gguf ? kBlockPrefix : kLayerPrefix, parts.index, ".", *module, ".", parts.kind);
}

class GgufWeights : public WeightSource {
 public:
  GgufWeights(GgufFile file, const DecoderConfig& config, bool pairs_adjacent)
      : file_(std::move(file)), config_(config), pairs_adjacent_(pairs_adjacent), layer_names_(layer_names(config)) {}

  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType type) override {
    const auto stored = rename(layer_names_, name, true);
    LUTHIER_CHECK(stored, "[gguf] no GGUF name for ", name);
    const TensorView& view = file_.tensor(*stored);
    if (config_.norm_offset != 0 && name.ends_with("norm.weight")) {
      // These files have the offset added to the weights.
      return (convert_tensor(view, file_.path(), shape, at::kFloat) - config_.norm_offset).to(type);
    }
    const at::Tensor tensor = convert_tensor(view, file_.path(), shape, type);
    if (pairs_adjacent_ && name.find(".q_proj.") != std::string::npos) return unpermute(tensor, config_.heads);
    if (pairs_adjacent_ && name.find(".k_proj.") != std::string::npos) return unpermute(tensor, config_.key_heads);
    return tensor;
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const TensorView& tensor : file_.tensors()) {
      if (tensor.name.starts_with("rope_f")) continue;  // divisors of the rotary frequencies, part of the configuration
      all.push_back(rename(layer_names_, tensor.name, false).value_or(tensor.name));
    }
    return all;
  }

  const std::string& path() const override { return file_.path(); }

 private:
  // From the order of rotated pairs, (2 i, 2 i + 1), to that of Transformers and our rotation, which pair row i of a
  // head with row i + half.
  static at::Tensor unpermute(const at::Tensor& tensor, int64_t heads) {
    const int64_t half = tensor.size(0) / heads / 2;
    const at::Tensor rows =
        tensor.dim() == 2 ? tensor.reshape({heads, half, 2, tensor.size(1)}) : tensor.reshape({heads, half, 2});
    return rows.transpose(1, 2).contiguous().view(tensor.sizes());
  }

  GgufFile file_;
  DecoderConfig config_;
  bool pairs_adjacent_;
  Names layer_names_;
};

}  // namespace

OpenedModel open_gguf(const std::string& path) {
  GgufFile file(path);
  OpenedModel model;
  const Family& family = family_of_gguf(file);
  model.config = family.from_gguf(file);
  check_config(model.config, path);
  model.weights = std::make_unique<GgufWeights>(std::move(file), model.config, family.pairs_adjacent);
  return model;
}

}  // namespace luthier
