#include "luthier/model/families/family.h"

#include <algorithm>
#include <array>
#include <string>

#include "luthier/base/error.h"

namespace luthier {
namespace {

const std::array kFamilies = std::to_array<const Family*>(
    {&kGemma, &kGemma2, &kGemma3, &kGranite, &kLlama, &kMistral, &kOlmo2, &kPhi3, &kQwen2, &kQwen3, &kSmolLm3});

// Architectures that are mixtures of experts, or have some among their sizes, without saying so in their names.
constexpr auto kExperts =
    std::to_array<std::string_view>({"arctic", "dbrx", "deepseek2", "deepseek_v2", "deepseek_v3", "gpt_oss", "gpt-oss",
                                     "grok", "jamba", "llama4", "minimax", "mixtral", "qwen3_next"});

std::string known() {
  std::string names;
  for (const Family* family : kFamilies) names += (names.empty() ? "" : ", ") + std::string(family->name);
  return names;
}

bool has_experts(std::string_view architecture) {
  return architecture.find("moe") != std::string_view::npos ||
         std::ranges::find(kExperts, architecture) != kExperts.end();
}

std::string refusal(std::string_view architecture) {
  if (has_experts(architecture))
    return concat("the architecture \"", architecture, "\" is a mixture of experts, which is not supported");
  return concat("the architecture \"", architecture, "\" is not supported; supported: ", known());
}

}  // namespace

const Family& family_of_model_type(const JsonValue& root) {
  const std::string& type = root.at("model_type").as_string();
  for (const Family* family : kFamilies) {
    if (family->name == type) return *family;
  }
  if (const JsonValue* tower = root.find("vision_config"); tower != nullptr && !tower->is_null()) {
    tower->fail_here(
        concat("\"", type, "\" has a vision tower, which is not supported; supported are the text models ", known()));
  }
  root.at("model_type").fail_here(refusal(type));
}

const Family& family_of_gguf(const GgufFile& file) {
  const std::string_view architecture = file.string("general.architecture");
  for (const Family* family : kFamilies) {
    if (!family->architecture.empty() && family->architecture == architecture) return *family;
  }
  if (architecture == "clip") fail_input(file.path(), ": is a vision tower, which is not supported");
  fail_input(file.path(), ": ", refusal(architecture));
}

}  // namespace luthier
