// Writing safetensors files, whole or tensor by tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "luthier/formats/tensor_view.h"

namespace luthier {

/// What the header says of a tensor before its bytes are there.
struct TensorDeclaration {
  std::string name;
  DType type = DType::F32;
  std::vector<int64_t> shape;
};

/// Writes a file whose tensors come one at a time, so that they need not all be in memory:
///
///     SafetensorsWriter writer(path, declarations, {{"format", "pt"}});
///     for (...) writer.write(name, bytes);
///     writer.finish();
///
/// The bytes go to `path`.partial, which takes the place of `path` in `finish` and is removed when `finish` is not
/// reached, so `path` is never a file cut off. The same declarations give the same bytes in whatever order: tensors lie
/// sorted by falling element size, so that each is aligned, then by name. The header is padded to 8 bytes.
class SafetensorsWriter {
 public:
  /// Throws InputError when a name stands twice or is no UTF-8, a type or shape has no place in the format, or the file
  /// cannot be opened; Error with the system's reason when it cannot be written.
  SafetensorsWriter(const std::string& path, std::vector<TensorDeclaration> declarations,
                    const std::map<std::string, std::string>& metadata = {});
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  /// Writes the bytes of a declared tensor, once each and in any order.
  void write(std::string_view name, std::span<const std::byte> bytes);
  /// Checks that every tensor was written, waits until the disk has the bytes, and gives the file its name.
  void finish();

 private:
  struct Slot {
    TensorDeclaration declaration;
    uint64_t offset = 0;  // within the file, once the header is known; before, within the data
    uint64_t bytes = 0;
    bool written = false;
  };

  void lay_out(std::vector<TensorDeclaration> declarations);
  std::string header(const std::map<std::string, std::string>& metadata) const;
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  [[noreturn]] void fail_system(std::string_view what) const;

  std::string path_, partial_;
  std::vector<Slot> slots_;  // in the order of the file
  int descriptor_ = -1;
};

/// Writes all tensors at once; see SafetensorsWriter. The data of each view has byte_count(type, shape) bytes.
void write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace luthier
