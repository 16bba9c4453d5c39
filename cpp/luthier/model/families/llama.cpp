#include "luthier/base/error.h"
#include "luthier/model/families/family.h"

namespace luthier {
namespace {

int64_t integer(const JsonValue& root, std::string_view key, int64_t otherwise) {
  const JsonValue* value = root.find(key);
  return value != nullptr && !value->is_null() ? value->as_int() : otherwise;
}

double number(const JsonValue& root, std::string_view key, double otherwise) {
  const JsonValue* value = root.find(key);
  return value != nullptr && !value->is_null() ? value->as_double() : otherwise;
}

bool flag(const JsonValue& root, std::string_view key, bool otherwise) {
  const JsonValue* value = root.find(key);
  return value != nullptr && !value->is_null() ? value->as_bool() : otherwise;
}

// Transformers 4 writes rope_theta beside rope_scaling, Transformers 5 both inside rope_parameters.
void read_rope(const JsonValue& root, DecoderConfig& config) {
  config.rope_base = number(root, "rope_theta", 10000);
  const JsonValue* rope = root.find("rope_parameters");
  if (rope == nullptr || rope->is_null()) rope = root.find("rope_scaling");
  if (rope == nullptr || rope->is_null()) return;
  config.rope_base = number(*rope, "rope_theta", config.rope_base);
  const JsonValue* kind = rope->find("rope_type");
  if (kind == nullptr) kind = rope->find("type");
  if (kind == nullptr) return;
  RopeScaling& scaling = config.rope_scaling;
  if (kind->as_string() == "linear") {
    scaling.kind = RopeScaling::Kind::linear;
    scaling.factor = rope->at("factor").as_double();
  } else if (kind->as_string() == "llama3") {
    scaling.kind = RopeScaling::Kind::llama3;
    scaling.factor = rope->at("factor").as_double();
    scaling.low_frequency_factor = rope->at("low_freq_factor").as_double();
    scaling.high_frequency_factor = rope->at("high_freq_factor").as_double();
    scaling.original_positions = rope->at("original_max_position_embeddings").as_int();
  } else if (kind->as_string() != "default") {
    kind->fail_here(
        concat("the rotary scaling \"", kind->as_string(), "\" is not supported; supported: default, linear, llama3"));
  }
}

DecoderConfig from_json(const JsonValue& root) {
  if (const JsonValue* activation = root.find("hidden_act");
      activation != nullptr && activation->as_string() != "silu") {
    activation->fail_here(
        concat("the activation \"", activation->as_string(), "\" is not supported for this family, which has silu"));
  }
  DecoderConfig c;
  c.family = "llama";
  c.vocabulary_size = root.at("vocab_size").as_int();
  c.hidden_size = root.at("hidden_size").as_int();
  c.intermediate_size = root.at("intermediate_size").as_int();
  c.layers = root.at("num_hidden_layers").as_int();
  c.heads = root.at("num_attention_heads").as_int();
  c.key_heads = integer(root, "num_key_value_heads", c.heads);
  c.head_size = integer(root, "head_dim", c.heads > 0 ? c.hidden_size / c.heads : 0);
  c.max_positions = integer(root, "max_position_embeddings", 2048);
  c.norm_epsilon = number(root, "rms_norm_eps", 1e-6);
  const bool attention_bias = flag(root, "attention_bias", false);
  c.query_key_value_bias = attention_bias;
  c.output_bias = attention_bias;
  c.feed_forward_bias = flag(root, "mlp_bias", false);
  c.tied_head = flag(root, "tie_word_embeddings", false);
  read_rope(root, c);
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  if (file.find_tensor("rope_freqs.weight") != nullptr) {
    fail_input(file.path(),
               ": rope_freqs.weight (a scaled rotary table) is not supported; use the model's Transformers folder");
  }
  if (file.has("llama.rope.scaling.type") && file.string("llama.rope.scaling.type") != "none") {
    fail_input(file.path(), ": llama.rope.scaling.type is \"", file.string("llama.rope.scaling.type"),
               "\", which is not supported; use the model's Transformers folder");
  }
  if (file.has("llama.expert_count") && file.integer("llama.expert_count") > 0) {
    fail_input(file.path(), ": llama.expert_count is above zero: mixtures of experts are not supported");
  }
  const TensorView& embedding = file.tensor("token_embd.weight");
  if (embedding.shape.size() != 2)
    fail_input(file.path(), ": token_embd.weight has shape ", shape_text(embedding.shape));
  DecoderConfig c;
  c.family = "llama";
  c.vocabulary_size = embedding.shape[0];
  c.hidden_size = file.integer("llama.embedding_length");
  c.intermediate_size = file.integer("llama.feed_forward_length");
  c.layers = file.integer("llama.block_count");
  c.heads = file.integer("llama.attention.head_count");
  c.key_heads = file.has("llama.attention.head_count_kv") ? file.integer("llama.attention.head_count_kv") : c.heads;
  c.head_size = file.has("llama.attention.key_length") ? file.integer("llama.attention.key_length")
                : c.heads > 0                          ? c.hidden_size / c.heads
                                                       : 0;
  c.max_positions = file.has("llama.context_length") ? file.integer("llama.context_length") : 2048;
  c.norm_epsilon = file.real("llama.attention.layer_norm_rms_epsilon");
  c.rope_base = file.has("llama.rope.freq_base") ? file.real("llama.rope.freq_base") : 10000;
  c.query_key_value_bias = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  c.output_bias = file.find_tensor("blk.0.attn_output.bias") != nullptr;
  c.feed_forward_bias = file.find_tensor("blk.0.ffn_gate.bias") != nullptr;
  c.tied_head = file.find_tensor("output.weight") == nullptr;
  return c;
}

}  // namespace

const Family kLlama{"llama", "llama", from_json, from_gguf};

}  // namespace luthier
