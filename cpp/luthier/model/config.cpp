#include "luthier/model/config.h"

#include "luthier/base/error.h"

namespace luthier {

void check_config(const DecoderConfig& c, const std::string& source) {
  const auto in_range = [&](const char* key, int64_t value, int64_t most) {
    if (value < 1 || value > most) fail_input(source, ": ", key, " is ", value, ", and must be from 1 to ", most);
  };
  in_range("vocab_size", c.vocabulary_size, int64_t{1} << 24);
  in_range("hidden_size", c.hidden_size, int64_t{1} << 17);
  in_range("intermediate_size", c.intermediate_size, int64_t{1} << 19);
  in_range("num_hidden_layers", c.layers, 4096);
  in_range("num_attention_heads", c.heads, 4096);
  in_range("num_key_value_heads", c.key_heads, 4096);
  in_range("head_dim", c.head_size, 4096);
  in_range("max_position_embeddings", c.max_positions, int64_t{1} << 24);
  if (c.heads % c.key_heads != 0) {
    fail_input(source, ": num_attention_heads (", c.heads, ") is not a multiple of num_key_value_heads (", c.key_heads,
               ")");
  }
  if (c.head_size % 2 != 0)
    fail_input(source, ": head_dim is ", c.head_size, ", and rotary positions need an even number");
  if (!(c.norm_epsilon >= 0 && c.norm_epsilon < 1)) fail_input(source, ": rms_norm_eps is ", c.norm_epsilon);
  if (!(c.rope_base > 0)) fail_input(source, ": rope_theta is ", c.rope_base, ", and must be above zero");
  if (!(c.rope_scaling.factor > 0)) fail_input(source, ": the factor of rope scaling is ", c.rope_scaling.factor);
}

}  // namespace luthier
