#include "luthier/adapter/lora.h"

#include <gtest/gtest.h>

#include <cmath>

#include "../model/tiny_decoder.h"
#include "refusal.h"

namespace luthier {
namespace {

using testing::hidden_states;
using testing::random_tokens;
using testing::refusal;
using testing::relative_error;
using testing::tiny_decoder;
using testing::uniform;

using Tensors = std::map<std::string, at::Tensor>;

Tensors random_tensors(Decoder& decoder, const LoraSettings& settings) {
  Tensors tensors;
  for (const Parameter& parameter : attach_lora(decoder, settings, 1)) {
    tensors[parameter.name] = uniform(parameter.master.sizes(), tensors.size() + 1, 0.4);
  }
  detach_updates(decoder);
  return tensors;
}

TEST(Lora, ANewAdapterChangesNothingYet) {
  Decoder decoder = tiny_decoder(true, true);
  const std::vector<int32_t> tokens = random_tokens(9, 1);
  const at::Tensor before = hidden_states(decoder, tokens);
  const std::vector<Parameter> parameters = attach_lora(decoder, {3, 6, {"all-linear"}, false}, 5);
  EXPECT_EQ(parameters.size(), 2u * 7 * 2);
  EXPECT_LT(relative_error(hidden_states(decoder, tokens), before), 1e-6);
  for (const Parameter& parameter : parameters) {
    const bool is_a = parameter.name.find("lora_A") != std::string::npos;
    const double largest = parameter.master.abs().max().item<double>();
    if (is_a) {
      const double bound = 1 / std::sqrt(static_cast<double>(parameter.master.size(1)));
      EXPECT_LE(largest, bound) << parameter.name;
      EXPECT_GT(largest, 0.7 * bound) << parameter.name;
    } else {
      EXPECT_EQ(largest, 0) << parameter.name;
    }
  }
}

TEST(Lora, TheSeedDecidesTheStart) {
  Decoder decoder = tiny_decoder();
  const LoraSettings settings{2, 4, {"q_proj"}, false};
  const at::Tensor a = attach_lora(decoder, settings, 5)[0].master;
  EXPECT_TRUE(attach_lora(decoder, settings, 5)[0].master.equal(a));
  EXPECT_FALSE(attach_lora(decoder, settings, 6)[0].master.equal(a));
}

TEST(Lora, AnAttachedAdapterComputesWhatMergedWeightsCompute) {
  for (const bool rank_stabilised : {false, true}) {
    Decoder decoder = tiny_decoder(false, true);
    const LoraSettings settings{3, 7, {"all-linear"}, rank_stabilised};
    const std::vector<int32_t> tokens = random_tokens(9, 1);
    const at::Tensor plain = hidden_states(decoder, tokens);
    const Tensors tensors = random_tensors(decoder, settings);
    const std::vector<Parameter> parameters = attach_lora(decoder, settings, tensors);
    const at::Tensor adapted = hidden_states(decoder, tokens);
    std::map<std::string, at::Tensor> merged;
    for (const NamedWeight& weight : named_weights(decoder)) {
      merged[weight.name] = merged_weight(decoder, parameters, settings, weight.name);
    }
    detach_updates(decoder);
    EXPECT_LT(relative_error(hidden_states(decoder, tokens), plain), 1e-6) << "detached, it is the model as it was";
    for (NamedWeight& weight : named_weights(decoder)) weight.value.copy_(merged[weight.name]);
    EXPECT_GT(relative_error(adapted, plain), 1e-2);
    EXPECT_LT(relative_error(hidden_states(decoder, tokens), adapted), 1e-5);
  }
}

TEST(Lora, TheScaleIsAlphaOverTheRankOrItsRoot) {
  EXPECT_DOUBLE_EQ((LoraSettings{4, 6, {}, false}.scale()), 1.5);
  EXPECT_DOUBLE_EQ((LoraSettings{4, 6, {}, true}.scale()), 3);
}

TEST(Lora, TargetsAreProjectionsOrLongerEndsOfNames) {
  Decoder decoder = tiny_decoder();
  EXPECT_EQ(attach_lora(decoder, {1, 1, {"v_proj", "down_proj"}, false}, 0).size(), 2u * 2 * 2);
  const std::vector<Parameter> one = attach_lora(decoder, {1, 1, {"layers.1.mlp.up_proj"}, false}, 0);
  ASSERT_EQ(one.size(), 2u);
  EXPECT_EQ(one[0].name, "base_model.model.model.layers.1.mlp.up_proj.lora_A.weight");
  EXPECT_EQ(one[1].master.sizes(), (at::IntArrayRef{14, 1}));
}

TEST(Lora, SettingsThatCannotBeAreRefused) {
  Decoder decoder = tiny_decoder();
  const std::string message = refusal([&] { attach_lora(decoder, {2, 2, {"q_proj", "query"}, false}, 0); });
  EXPECT_NE(message.find("\"query\""), std::string::npos) << message;
  EXPECT_NE(message.find("gate_proj"), std::string::npos) << "names those there are: " << message;
  EXPECT_NE(refusal([&] { attach_lora(decoder, {0, 2, {"q_proj"}, false}, 0); }).find("rank"), std::string::npos);
  EXPECT_NE(refusal([&] { attach_lora(decoder, {2, NAN, {"q_proj"}, false}, 0); }).find("alpha"), std::string::npos);
  EXPECT_NE(refusal([&] { attach_lora(decoder, {2, 2, {}, false}, 0); }).find("targets"), std::string::npos);
  // "proj" ends a name, but not at a dot.
  EXPECT_NE(refusal([&] { attach_lora(decoder, {2, 2, {"proj"}, false}, 0); }), "");
}

TEST(Lora, TensorsThatDoNotFitAreNamedAndNothingIsAttached) {
  Decoder decoder = tiny_decoder();
  const LoraSettings settings{2, 4, {"q_proj", "v_proj"}, false};
  const Tensors tensors = random_tensors(decoder, settings);
  const std::string name = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight";
  ASSERT_TRUE(tensors.contains(name));
  const std::vector<int32_t> tokens = random_tokens(9, 1);
  const at::Tensor before = hidden_states(decoder, tokens);
  const auto refused = [&](const std::function<void(Tensors&)>& change, const std::string& what) {
    Tensors changed = tensors;
    change(changed);
    const std::string message = refusal([&] { attach_lora(decoder, settings, changed); });
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_TRUE(hidden_states(decoder, tokens).equal(before));
  };
  refused([&](Tensors& t) { t.erase(name); }, name + " is missing");
  refused([&](Tensors& t) { t[name] = t[name].t().contiguous(); }, name + " has shape");
  refused([&](Tensors& t) { t["base_model.model.lm_head.lora_A.weight"] = t[name]; }, "belongs to no target layer");
  refused([&](Tensors& t) { t.clear(); }, "and 3 more");
}

}  // namespace
}  // namespace luthier
