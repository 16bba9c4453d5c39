// A file mapped into memory, read only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace luthier {

/// The whole of a file as bytes. The pages are read on first use and are shared with the page cache,
/// so a model costs no memory of its own until it is copied. Movable; unmapped when destroyed.
class MappedFile {
 public:
  /// Throws InputError with the path and the system's reason when the file cannot be opened or mapped.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  const std::string& path() const { return path_; }
  /// All bytes of the file; empty for an empty file.
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace luthier
