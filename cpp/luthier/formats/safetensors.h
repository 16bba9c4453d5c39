// Reading safetensors files: eight bytes of header length, a JSON header, and the tensors' bytes one after the other.
//
//     const SafetensorsFile file("model.safetensors");
//     const TensorView& weight = file.tensor("model.norm.weight");   // weight.data lies in the mapped file
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "luthier/base/mapped_file.h"
#include "luthier/formats/tensor_view.h"

namespace luthier {

/// The largest header that is read or written, as in the reference implementation.
inline constexpr size_t kMaxSafetensorsHeader = 100'000'000;

/// A mapped safetensors file. Movable; the views stay valid as long as the file, or what it was moved to, lives.
class SafetensorsFile {
 public:
  /// Maps the file and reads its header. Throws InputError, naming the file and the tensor, unless every tensor has a
  /// known type, a shape that matches its bytes, and the tensors cover the data exactly, without overlap or hole.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  /// All tensors, sorted by name.
  std::span<const TensorView> tensors() const { return tensors_; }
  /// The names of all tensors, sorted.
  std::vector<std::string> names() const;
  /// The tensor of that name, or nullptr.
  const TensorView* find(std::string_view name) const;
  /// The tensor of that name; throws InputError when the file has none.
  const TensorView& tensor(std::string_view name) const;
  /// The strings under "__metadata__"; empty when the header has none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  MappedFile file_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace luthier
