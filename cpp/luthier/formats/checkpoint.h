// The weights of a model folder, in one safetensors file or in several.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "luthier/formats/safetensors.h"

namespace luthier {

/// All tensors of a model, whatever the file they lie in. Movable; the views live as long as the checkpoint.
class Checkpoint {
 public:
  /// Names of all tensors, sorted.
  std::vector<std::string> names() const;
  /// The tensor of that name, or nullptr.
  const TensorView* find(std::string_view name) const;
  /// The tensor of that name; throws InputError when no file has it.
  const TensorView& tensor(std::string_view name) const;
  /// The safetensors files, sorted by name.
  const std::vector<SafetensorsFile>& files() const { return files_; }

 private:
  friend Checkpoint open_checkpoint(const std::string& path);

  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, const TensorView*, std::less<>> tensors_;  // into files_, whose tensors do not move
};

/// Opens a folder with model.safetensors, or else with model.safetensors.index.json and the shards that it names, or
/// one safetensors file. Throws InputError that names the file, and the tensor, when there is none of them, a shard is
/// missing, or a shard lacks a tensor that the index promises.
Checkpoint open_checkpoint(const std::string& path);

}  // namespace luthier
