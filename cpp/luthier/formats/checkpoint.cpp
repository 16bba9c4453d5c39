#include "luthier/formats/checkpoint.h"

#include <filesystem>
#include <utility>

#include "luthier/base/error.h"
#include "luthier/base/mapped_file.h"
#include "luthier/formats/json_reader.h"

namespace luthier {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

using NamesByShard = std::map<std::string, std::vector<std::string>>;

void read_weight_map(JsonReader& reader, const std::string& path, NamesByShard& names) {
  reader.begin_object();
  for (std::string tensor; reader.next_key(tensor);) {
    const std::string shard = reader.read_string();
    if (shard.empty() || shard == "." || shard == ".." ||
        shard.find_first_of(std::string_view("/\\\0", 3)) < shard.size()) {
      fail_input(path, ": tensor ", message_quote(tensor), ": ", message_quote(shard),
                 " is no file name within the folder");
    }
    names[shard].push_back(tensor);
  }
}

NamesByShard read_index(const std::string& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMaxSafetensorsHeader) fail_input(path, ": is too large for an index");
  JsonReader reader({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path);
  NamesByShard names;
  reader.begin_object();
  for (std::string key; reader.next_key(key);) {
    if (key == "weight_map") {
      read_weight_map(reader, path, names);
    } else {
      reader.skip();
    }
  }
  reader.finish();
  if (names.empty()) fail_input(path, ": has no weight_map; save the model again");
  return names;
}

[[noreturn]] void fail_no_weights(const std::string& folder) {
  if (fs::exists(fs::path(folder) / "pytorch_model.bin") ||
      fs::exists(fs::path(folder) / "pytorch_model.bin.index.json")) {
    fail_input(folder, ": has its weights in pytorch_model.bin, which is not read; save the model as safetensors");
  }
  fail_input(folder, ": has neither ", kSingle, " nor ", kIndex, "; give a model folder that holds one of them");
}

}  // namespace

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

const TensorView& Checkpoint::tensor(std::string_view name) const {
  if (const TensorView* tensor = find(name)) return *tensor;
  fail_input(path_, ": has no tensor ", message_quote(name), "; it holds ", tensors_.size(), " others");
}

Checkpoint open_checkpoint(const std::string& path) {
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  std::error_code unreadable;
  const fs::path folder(path);
  const fs::path single = fs::is_directory(folder, unreadable) ? folder / kSingle : folder;
  if (single == folder || fs::exists(single, unreadable)) {
    const auto& file = checkpoint.files_.emplace_back(single.string());
    for (const TensorView& tensor : file.tensors()) checkpoint.tensors_.emplace(tensor.name, &tensor);
    return checkpoint;
  }
  const fs::path index = folder / kIndex;
  if (!fs::exists(index, unreadable)) fail_no_weights(path);
  for (const auto& [shard, names] : read_index(index.string())) {
    const std::string shard_path = (folder / shard).string();
    if (!fs::exists(shard_path, unreadable)) {
      fail_input(shard_path, ": is missing; ", kIndex, " says that it holds ", names.size(), " tensors, the first ",
                 message_quote(names.front()));
    }
    const auto& file = checkpoint.files_.emplace_back(shard_path);
    for (const std::string& name : names) {
      const TensorView* tensor = file.find(name);
      if (tensor == nullptr) {
        fail_input(shard_path, ": lacks the tensor ", message_quote(name), " that ", kIndex, " promises");
      }
      if (!checkpoint.tensors_.emplace(name, tensor).second) {
        fail_input(index.string(), ": the tensor ", message_quote(name), " stands twice");
      }
    }
  }
  return checkpoint;
}

}  // namespace luthier
