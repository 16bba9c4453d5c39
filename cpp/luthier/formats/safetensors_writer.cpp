#include "luthier/formats/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <tuple>
#include <utility>

#include "luthier/base/error.h"
#include "luthier/formats/json_reader.h"
#include "luthier/formats/safetensors.h"
#include "luthier/formats/utf8.h"

namespace luthier {

SafetensorsWriter::SafetensorsWriter(const std::string& path, std::vector<TensorDeclaration> declarations,
                                     const std::map<std::string, std::string>& metadata)
    : path_(path), partial_(path + ".partial") {
  lay_out(std::move(declarations));
  const std::string text = header(metadata);
  const uint64_t length = text.size();
  if (length > kMaxSafetensorsHeader) fail_input(path_, ": the header would have ", length, " bytes, too many to read");
  descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_input(path_, ": cannot be created: ", std::strerror(errno));
  try {
    write_at(0, std::as_bytes(std::span(&length, 1)));
    write_at(sizeof(length), std::as_bytes(std::span(text)));
  } catch (...) {  // the destructor of an object that was never made does not run
    ::close(descriptor_);
    ::unlink(partial_.c_str());
    throw;
  }
  for (Slot& slot : slots_) slot.offset += sizeof(length) + length;
}

SafetensorsWriter::~SafetensorsWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

void SafetensorsWriter::lay_out(std::vector<TensorDeclaration> declarations) {
  for (TensorDeclaration& declaration : declarations) {
    const auto bytes = byte_count(declaration.type, declaration.shape);
    if (!bytes || !is_safetensors_dtype(declaration.type) || declaration.name == "__metadata__" ||
        !is_utf8(declaration.name)) {
      fail_input(path_, ": a tensor named ", message_quote(declaration.name), " of type ", dtype_name(declaration.type),
                 " and shape ", shape_text(declaration.shape), " cannot be stored in a safetensors file");
    }
    slots_.push_back({std::move(declaration), 0, static_cast<uint64_t>(*bytes), false});
  }
  std::ranges::sort(slots_, {}, [](const Slot& slot) -> const std::string& { return slot.declaration.name; });
  const auto twice = std::ranges::adjacent_find(
      slots_, [](const Slot& a, const Slot& b) { return a.declaration.name == b.declaration.name; });
  if (twice != slots_.end()) fail_input(path_, ": tensor ", message_quote(twice->declaration.name), " is given twice");
  std::ranges::stable_sort(slots_, std::ranges::greater(),
                           [](const Slot& slot) { return block_bytes(slot.declaration.type); });
  uint64_t offset = 0;
  for (Slot& slot : slots_) {
    slot.offset = offset;
    LUTHIER_CHECK(!__builtin_add_overflow(offset, slot.bytes, &offset), "[SafetensorsWriter] too many bytes");
  }
}

std::string SafetensorsWriter::header(const std::map<std::string, std::string>& metadata) const {
  std::string text = "{";
  const auto separate = [&] { text += text.size() > 1 ? "," : ""; };
  if (!metadata.empty()) {
    std::string members;
    for (const auto& [key, value] : metadata) {
      if (!is_utf8(key) || !is_utf8(value)) fail_input(path_, ": the metadata ", message_quote(key), " is not UTF-8");
      members += concat(members.empty() ? "" : ",", json_quote(key), ":", json_quote(value));
    }
    text += concat("\"__metadata__\":{", members, "}");
  }
  for (const Slot& slot : slots_) {
    separate();
    text += concat(json_quote(slot.declaration.name), ":{\"dtype\":\"", dtype_name(slot.declaration.type),
                   "\",\"shape\":[");
    for (size_t i = 0; i < slot.declaration.shape.size(); ++i)
      text += concat(i > 0 ? "," : "", slot.declaration.shape[i]);
    text += concat("],\"data_offsets\":[", slot.offset, ",", slot.offset + slot.bytes, "]}");
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

void SafetensorsWriter::write(std::string_view name, std::span<const std::byte> bytes) {
  const auto slot = std::ranges::find_if(slots_, [&](const Slot& s) { return s.declaration.name == name; });
  LUTHIER_CHECK(descriptor_ >= 0, "[SafetensorsWriter] the file is finished");
  LUTHIER_CHECK(slot != slots_.end() && !slot->written, "[SafetensorsWriter] ", name, " is not expected");
  LUTHIER_CHECK(slot->bytes == bytes.size(), "[SafetensorsWriter] ", name, " takes ", slot->bytes, " bytes, not ",
                bytes.size());
  write_at(slot->offset, bytes);
  slot->written = true;
}

void SafetensorsWriter::finish() {
  for (const Slot& slot : slots_) {
    LUTHIER_CHECK(slot.written, "[SafetensorsWriter] ", slot.declaration.name, " was never written");
  }
  LUTHIER_CHECK(descriptor_ >= 0, "[SafetensorsWriter] the file is finished");
  if (::fsync(descriptor_) != 0) fail_system("cannot be written to the disk");
  if (::close(std::exchange(descriptor_, -1)) != 0 || std::rename(partial_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(partial_.c_str());
    errno = reason;
    fail_system("cannot be written to the disk");
  }
}

void SafetensorsWriter::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  constexpr size_t kMostAtOnce = size_t{1} << 30;  // Linux writes less than 2 GiB in one call
  while (!bytes.empty()) {
    const auto count =
        ::pwrite(descriptor_, bytes.data(), std::min(bytes.size(), kMostAtOnce), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_system("cannot be written");
    offset += static_cast<uint64_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

void SafetensorsWriter::fail_system(std::string_view what) const {
  const int reason = errno;
  fail(path_, ": ", what, ": ", std::strerror(reason),
       reason == ENOSPC || reason == EDQUOT || reason == EFBIG ? "; free some space or choose another folder" : "");
}

void write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorDeclaration> declarations;
  for (const TensorView& tensor : tensors) declarations.push_back({tensor.name, tensor.type, tensor.shape});
  SafetensorsWriter writer(path, std::move(declarations), metadata);
  for (const TensorView& tensor : tensors) writer.write(tensor.name, tensor.data);
  writer.finish();
}

}  // namespace luthier
