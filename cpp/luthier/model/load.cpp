#include "luthier/model/load.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "luthier/base/error.h"

namespace luthier {
namespace {

class Loader {
 public:
  Loader(OpenedModel model, at::ScalarType type) : model_(std::move(model)), type_(type) {
    for (const std::string& name : model_.weights->names()) unread_.insert(name);
  }

  Decoder load() {
    const DecoderConfig& c = model_.config;
    Decoder decoder;
    decoder.config = c;
    decoder.embedding.value = read("model.embed_tokens.weight", {c.vocabulary_size, c.hidden_size});
    for (int64_t i = 0; i < c.layers; ++i) decoder.layers.push_back(load_layer(concat("model.layers.", i, ".")));
    decoder.final_norm.value = read("model.norm.weight", {c.hidden_size});
    if (c.tied_head) {
      decoder.head.value = decoder.embedding.value;
      unread_.erase("lm_head.weight");  // some files hold the tied matrix twice
    } else {
      decoder.head.value = read("lm_head.weight", {c.vocabulary_size, c.hidden_size});
    }
    refuse_unread();
    return decoder;
  }

 private:
  using Part = std::pair<std::string, int64_t>;

  DecoderLayer load_layer(const std::string& prefix) {
    const DecoderConfig& c = model_.config;
    const std::string attention = prefix + "self_attn.", feed_forward = prefix + "mlp.";
    DecoderLayer layer;
    for (const PlacedNorm& norm : layer_norms(c)) {
      (layer.*norm.weight).value = read(concat(prefix, norm.name, ".weight"), {norm.size});
    }
    layer.query_key_value = load_linear(attention, query_key_value_parts(c), c.hidden_size, c.query_key_value_bias);
    layer.output = load_linear(attention, {{"o_proj", c.hidden_size}}, c.query_columns(), c.output_bias);
    layer.gate_up = load_linear(feed_forward, gate_up_parts(c), c.hidden_size, c.feed_forward_bias);
    layer.down = load_linear(feed_forward, {{"down_proj", c.hidden_size}}, c.intermediate_size, c.feed_forward_bias);
    return layer;
  }

  LinearLayer load_linear(const std::string& scope, const std::vector<Part>& parts, int64_t in, bool has_bias) {
    std::vector<at::Tensor> weights, biases;
    for (const auto& [name, rows] : parts) {
      weights.push_back(read(scope + name + ".weight", {rows, in}));
      if (has_bias) biases.push_back(read(scope + name + ".bias", {rows}));
    }
    return make_linear_layer(at::cat(weights), has_bias ? at::cat(biases) : at::Tensor(), parts);
  }

  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape) {
    unread_.erase(name);
    return model_.weights->read(name, shape, type_);
  }

  void refuse_unread() const {
    std::string list;
    int64_t count = 0;
    for (const std::string& name : unread_) {
      if (name.ends_with("rotary_emb.inv_freq")) continue;  // old files store the rotary table
      if (++count <= 5) list += (list.empty() ? "" : ", ") + name;
    }
    if (count > 0) {
      fail_input(model_.weights->path(), ": holds ", count, " tensors that the architecture ", model_.config.family,
                 " does not know (", list, count > 5 ? ", ..." : "", "): the configuration does not match the weights");
    }
  }

  OpenedModel model_;
  at::ScalarType type_;
  std::set<std::string> unread_;
};

}  // namespace

Decoder load_decoder(const std::string& path, at::ScalarType type) {
  LUTHIER_CHECK(type == at::kFloat || type == at::kBFloat16, "[load_decoder] the type must be float32 or bfloat16");
  if (!std::filesystem::exists(path)) fail_input(path, ": no such file or folder");
  const bool folder = std::filesystem::is_directory(path);
  return Loader(folder ? open_transformers_folder(path) : open_gguf(path), type).load();
}

}  // namespace luthier
