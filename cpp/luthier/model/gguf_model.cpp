#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "luthier/base/error.h"
#include "luthier/formats/gguf.h"
#include "luthier/model/convert_tensor.h"
#include "luthier/model/families/family.h"
#include "luthier/model/weight_source.h"

namespace luthier {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

// Names of tensors of one layer: Transformers' behind "model.layers.N.", GGUF's behind "blk.N.".
constexpr std::array<Pair, 9> kLayerNames{{{"input_layernorm", "attn_norm"},
                                           {"post_attention_layernorm", "ffn_norm"},
                                           {"self_attn.q_proj", "attn_q"},
                                           {"self_attn.k_proj", "attn_k"},
                                           {"self_attn.v_proj", "attn_v"},
                                           {"self_attn.o_proj", "attn_output"},
                                           {"mlp.gate_proj", "ffn_gate"},
                                           {"mlp.up_proj", "ffn_up"},
                                           {"mlp.down_proj", "ffn_down"}}};
constexpr std::array<Pair, 3> kOuterNames{
    {{"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}}};
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

template <size_t N>
std::optional<std::string_view> translate(const std::array<Pair, N>& names, std::string_view from, bool to_gguf) {
  for (const auto& [transformers, gguf] : names) {
    if (from == (to_gguf ? transformers : gguf)) return to_gguf ? gguf : transformers;
  }
  return std::nullopt;
}

std::optional<std::string> rename(std::string_view name, bool to_gguf) {
  const SplitName parts = split(name, to_gguf ? kLayerPrefix : kBlockPrefix);
  if (parts.index.empty()) {
    const auto module = translate(kOuterNames, parts.module, to_gguf);
    return module ? std::optional(concat(*module, ".", parts.kind)) : std::nullopt;
  }
  const auto module = translate(kLayerNames, parts.module, to_gguf);
  if (!module) return std::nullopt;
  return concat(to_gguf ? kBlockPrefix : kLayerPrefix, parts.index, ".", *module, ".", parts.kind);
}

class GgufWeights : public WeightSource {
 public:
  GgufWeights(GgufFile file, const DecoderConfig& config) : file_(std::move(file)), config_(config) {}

  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType type) override {
    const auto stored = rename(name, true);
    LUTHIER_CHECK(stored, "[gguf] no GGUF name for ", name);
    const at::Tensor tensor = convert_tensor(file_.tensor(*stored), file_.path(), shape, type);
    if (name.find(".q_proj.") != std::string::npos) return unpermute(tensor, config_.heads);
    if (name.find(".k_proj.") != std::string::npos) return unpermute(tensor, config_.key_heads);
    return tensor;
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const TensorView& tensor : file_.tensors()) {
      all.push_back(rename(tensor.name, false).value_or(tensor.name));
    }
    return all;
  }

  const std::string& path() const override { return file_.path(); }

 private:
  // GGUF files of Llama models hold the query and key rows in the order of rotated pairs (2i, 2i + 1); Transformers
  // and our rotation pair row i of a head with row i + half.
  static at::Tensor unpermute(const at::Tensor& tensor, int64_t heads) {
    const int64_t half = tensor.size(0) / heads / 2;
    const at::Tensor rows =
        tensor.dim() == 2 ? tensor.reshape({heads, half, 2, tensor.size(1)}) : tensor.reshape({heads, half, 2});
    return rows.transpose(1, 2).contiguous().view(tensor.sizes());
  }

  GgufFile file_;
  DecoderConfig config_;
};

}  // namespace

OpenedModel open_gguf(const std::string& path) {
  GgufFile file(path);
  OpenedModel model;
  model.config = family_of_gguf(file).from_gguf(file);
  check_config(model.config, path);
  model.weights = std::make_unique<GgufWeights>(std::move(file), model.config);
  return model;
}

}  // namespace luthier
