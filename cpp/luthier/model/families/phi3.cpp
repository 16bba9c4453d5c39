#include "luthier/model/families/config_reader.h"
#include "luthier/model/families/family.h"
#include "luthier/model/families/gguf_reader.h"

namespace luthier {
namespace {

// Llama with fused projections; Phi-4 mini rotates three quarters of a head.
DecoderConfig from_json(const JsonValue& root) {
  ConfigReader reader(root);
  DecoderConfig c = read_common(reader, "phi3", {.epsilon = 1e-5});
  read_activation(reader, {"silu"}, Activation::silu, c);
  c.ropes = {read_rope(reader, c, {.partial = true, .original_positions = 4096})};
  c.fused = true;
  const int64_t window = reader.integer("sliding_window", 0);
  if (window != 0) set_windows(window, [](int64_t) { return true; }, c);
  reader.refuse_unread();
  return c;
}

DecoderConfig from_gguf(const GgufFile& file) {
  GgufReader reader(file, "phi3");
  DecoderConfig c = read_common(reader, "phi3");
  c.fused = true;
  const int64_t window = reader.integer("attention.sliding_window", 0);
  if (window != 0) set_windows(window, [](int64_t) { return true; }, c);
  reader.refuse_unread();
  return c;
}

}  // namespace

const Family kPhi3{"phi3", "phi3", from_json, from_gguf};

}  // namespace luthier
