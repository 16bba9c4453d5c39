#include <filesystem>

#include "luthier/base/error.h"
#include "luthier/formats/checkpoint.h"
#include "luthier/formats/json.h"
#include "luthier/model/convert_tensor.h"
#include "luthier/model/families/family.h"
#include "luthier/model/weight_source.h"

namespace luthier {
namespace {

class FolderWeights : public WeightSource {
 public:
  FolderWeights(std::string folder, Checkpoint checkpoint)
      : folder_(std::move(folder)), checkpoint_(std::move(checkpoint)) {}

  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType type) override {
    return convert_tensor(checkpoint_.tensor(name), folder_, shape, type);
  }
  std::vector<std::string> names() const override { return checkpoint_.names(); }
  const std::string& path() const override { return folder_; }

 private:
  std::string folder_;
  Checkpoint checkpoint_;
};

}  // namespace

OpenedModel open_transformers_folder(const std::string& folder) {
  const std::string config_path = (std::filesystem::path(folder) / "config.json").string();
  if (!std::filesystem::exists(config_path)) {
    fail_input(folder, ": holds no config.json: a model is a Transformers folder or a GGUF file");
  }
  const JsonDocument document = read_json_file(config_path);
  OpenedModel model;
  model.config = family_of_model_type(document.root()).from_json(document.root());
  check_config(model.config, config_path);
  model.weights = std::make_unique<FolderWeights>(folder, open_checkpoint(folder));
  return model;
}

}  // namespace luthier
