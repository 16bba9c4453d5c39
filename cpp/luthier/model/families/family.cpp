#include "luthier/model/families/family.h"

#include <array>
#include <string>

#include "luthier/base/error.h"

namespace luthier {
namespace {

const std::array<const Family*, 1> kFamilies{&kLlama};

std::string known() {
  std::string names;
  for (const Family* family : kFamilies) names += (names.empty() ? "" : ", ") + std::string(family->name);
  return names;
}

}  // namespace

const Family& family_of_model_type(const JsonValue& root) {
  const std::string& type = root.at("model_type").as_string();
  for (const Family* family : kFamilies) {
    if (family->name == type) return *family;
  }
  root.at("model_type").fail_here(concat("the architecture \"", type, "\" is not supported; supported: ", known()));
}

const Family& family_of_gguf(const GgufFile& file) {
  const std::string_view architecture = file.string("general.architecture");
  for (const Family* family : kFamilies) {
    if (family->architecture == architecture) return *family;
  }
  fail_input(file.path(), ": the architecture \"", architecture, "\" is not supported; supported: ", known());
}

}  // namespace luthier
