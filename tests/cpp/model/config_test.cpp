#include "luthier/model/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "luthier/base/error.h"
#include "tiny_decoder.h"

namespace luthier {
namespace {

// The message that a changed configuration is refused with; empty if it is accepted.
std::string refusal(const std::function<void(DecoderConfig&)>& change) {
  DecoderConfig config = testing::tiny_config(true, false);
  change(config);
  try {
    check_config(config, "the file");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Config, ASoundOneIsAccepted) {
  EXPECT_EQ(refusal([](DecoderConfig&) {}), "");
}

TEST(Config, WhatContradictsIsRefusedByName) {
  const std::vector<std::pair<std::string, std::function<void(DecoderConfig&)>>> cases{
      {"vocab_size", [](DecoderConfig& c) { c.vocabulary_size = 0; }},
      {"hidden_size", [](DecoderConfig& c) { c.hidden_size = int64_t{1} << 40; }},
      {"intermediate_size", [](DecoderConfig& c) { c.intermediate_size = -1; }},
      {"num_hidden_layers", [](DecoderConfig& c) { c.layers = 0; }},
      {"num_attention_heads", [](DecoderConfig& c) { c.heads = 0; }},
      {"num_key_value_heads", [](DecoderConfig& c) { c.key_heads = 2; }},
      {"head_dim", [](DecoderConfig& c) { c.head_size = 5; }},
      {"max_position_embeddings", [](DecoderConfig& c) { c.max_positions = 0; }},
      {"rms_norm_eps", [](DecoderConfig& c) { c.norm_epsilon = NAN; }},
      {"rope_theta", [](DecoderConfig& c) { c.ropes.front().base = 0; }},
      {"rope scaling", [](DecoderConfig& c) { c.ropes.front().scaling.factor = -2; }},
      {"rope scaling", [](DecoderConfig& c) { c.ropes.front().scaling.kind = RopeScaling::Kind::divided; }},
      {"attention_factor", [](DecoderConfig& c) { c.ropes.front().scaling.amplitude = 0; }},
      {"partial_rotary_factor", [](DecoderConfig& c) { c.ropes.front().dimensions = 3; }},
      {"partial_rotary_factor", [](DecoderConfig& c) { c.ropes.front().dimensions = 6; }},
      {"layer_types", [](DecoderConfig& c) { c.layer_settings.resize(3); }},
      {"sliding_window", [](DecoderConfig& c) { c.layer_settings.resize(2, {-1, 0}); }},
      {"residual_multiplier", [](DecoderConfig& c) { c.residual_scale = 0; }},
      {"scale of logits", [](DecoderConfig& c) { c.logit_scale = INFINITY; }},
      {"scale of attention scores", [](DecoderConfig& c) { c.attention_scale = NAN; }},
      {"final_logit_softcapping", [](DecoderConfig& c) { c.logit_soft_cap = -1; }},
  };
  for (const auto& [key, change] : cases) {
    const std::string message = refusal(change);
    EXPECT_NE(message.find("the file"), std::string::npos) << key << ": " << message;
    EXPECT_NE(message.find(key), std::string::npos) << key << ": " << message;
  }
}

TEST(Config, AWindowIsSetInTheLayersThatSlide) {
  DecoderConfig config = testing::tiny_config(true, false);
  config.layers = 5;
  EXPECT_EQ(windows_of(config), std::vector<int32_t>{0});
  set_windows(7, [](int64_t layer) { return layer % 2 == 0; }, config);
  EXPECT_EQ(windows_of(config), (std::vector<int32_t>{7, 0}));
  EXPECT_EQ(config.layer(2).window, 7);
  EXPECT_EQ(config.layer(3).window, 0);
}

}  // namespace
}  // namespace luthier
