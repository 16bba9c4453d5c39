#include "luthier/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "luthier/base/error.h"
#include "luthier/formats/json_reader.h"

namespace luthier {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are used as they lie in the file");

constexpr size_t kMaxDimensions = 64;

// Reads the header's tensors and metadata; `data` is the part of the file after the header.
class HeaderReader {
 public:
  HeaderReader(std::string_view header, const std::string& path, std::span<const std::byte> data)
      : reader_(header, path + ": header"), path_(path), data_(data) {}

  void read(std::vector<TensorView>& tensors, std::map<std::string, std::string>& metadata) {
    bool has_metadata = false;
    reader_.begin_object();
    for (std::string key; reader_.next_key(key);) {
      if (key == "__metadata__") {
        if (std::exchange(has_metadata, true)) reader_.fail_here("__metadata__ stands twice");
        read_metadata(metadata);
      } else {
        read_tensor(tensors.emplace_back(), key);
      }
    }
    reader_.finish();
  }

 private:
  void read_metadata(std::map<std::string, std::string>& metadata) {
    reader_.begin_object();
    for (std::string key; reader_.next_key(key);) {
      if (!metadata.emplace(key, reader_.read_string()).second) {
        reader_.fail_here(concat("the metadata key ", message_quote(key), " stands twice"));
      }
    }
  }

  void read_tensor(TensorView& tensor, const std::string& name) {
    tensor.name = name;
    std::optional<std::string> type;
    std::optional<std::vector<int64_t>> shape, offsets;
    reader_.begin_object();
    for (std::string key; reader_.next_key(key);) {
      const bool twice = (key == "dtype" && type) || (key == "shape" && shape) || (key == "data_offsets" && offsets);
      if (twice) fail_tensor(name, key, " stands twice");
      if (key == "dtype") {
        type = reader_.read_string();
      } else if (key == "shape") {
        shape = read_sizes(name, kMaxDimensions);
      } else if (key == "data_offsets") {
        offsets = read_sizes(name, 2);
      } else {
        reader_.skip();
      }
    }
    if (!type || !shape || !offsets) fail_tensor(name, "dtype, shape or data_offsets is missing");
    const auto dtype = dtype_from_safetensors(*type);
    if (!dtype) fail_tensor(name, "the type ", message_quote(*type), " is unknown; convert it to F32, F16 or BF16");
    const auto bytes = byte_count(*dtype, *shape);
    if (!bytes) fail_tensor(name, "the shape ", shape_text(*shape), " is impossible");
    if (offsets->size() != 2) fail_tensor(name, "data_offsets must be two numbers");
    const int64_t begin = offsets->front(), end = offsets->back();
    if (begin > end || static_cast<uint64_t>(end) > data_.size()) {
      fail_tensor(name, "data_offsets ", shape_text(*offsets), " lie outside the ", data_.size(),
                  " bytes of data; the file is cut off or damaged");
    }
    if (end - begin != *bytes) {
      fail_tensor(name, "has ", end - begin, " bytes, but ", *type, " of shape ", shape_text(*shape), " takes ",
                  *bytes);
    }
    tensor.type = *dtype;
    tensor.shape = std::move(*shape);
    tensor.data = data_.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  }

  std::vector<int64_t> read_sizes(const std::string& name, size_t most) {
    std::vector<int64_t> sizes;
    reader_.begin_array();
    while (reader_.next_element()) {
      if (sizes.size() == most) fail_tensor(name, "more than ", most, " numbers in shape or data_offsets");
      sizes.push_back(reader_.read_int());
      if (sizes.back() < 0) fail_tensor(name, "a negative number in shape or data_offsets");
    }
    return sizes;
  }

  template <class... Parts>
  [[noreturn]] void fail_tensor(const std::string& name, const Parts&... parts) const {
    fail_input(path_, ": tensor ", message_quote(name), ": ", parts...);
  }

  JsonReader reader_;
  const std::string& path_;
  std::span<const std::byte> data_;
};

// The tensors must lie one after the other from the first byte of the data to its last.
void check_coverage(const std::string& path, std::span<const TensorView> tensors, std::span<const std::byte> data) {
  std::vector<const TensorView*> order;
  for (const TensorView& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, [](const TensorView* a, const TensorView* b) {
    return std::pair(a->data.data(), a->data.size()) < std::pair(b->data.data(), b->data.size());
  });
  const std::byte* end = data.data();
  for (const TensorView* tensor : order) {
    if (tensor->data.data() != end) {
      fail_input(path, ": tensor ", message_quote(tensor->name), ": its bytes ",
                 tensor->data.data() < end ? "overlap those of another tensor" : "follow a gap in the data",
                 "; the file is damaged");
    }
    end += tensor->data.size();
  }
  const auto rest = data.data() + data.size() - end;
  if (rest != 0) fail_input(path, ": ", rest, " bytes at the end belong to no tensor; the file is damaged");
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) {
  const auto bytes = file_.bytes();
  uint64_t length = 0;
  if (bytes.size() < sizeof(length)) {
    fail_input(path, ": has ", bytes.size(), " bytes and is no safetensors file, or is cut off");
  }
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > kMaxSafetensorsHeader || length > bytes.size() - sizeof(length)) {
    fail_input(path, ": its header claims ", length, " bytes, of ", bytes.size() - sizeof(length),
               " that follow; this is no safetensors file, or it is cut off");
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + sizeof(length), length);
  if (!header.starts_with('{')) fail_input(path, ": its header does not begin with '{'; this is no safetensors file");
  const auto data = bytes.subspan(sizeof(length) + length);
  HeaderReader(header, path, data).read(tensors_, metadata_);
  check_coverage(path, tensors_, data);
  std::ranges::sort(tensors_, {}, &TensorView::name);
  const auto twice = std::ranges::adjacent_find(tensors_, {}, &TensorView::name);
  if (twice != tensors_.end()) fail_input(path, ": tensor ", message_quote(twice->name), " stands twice in the header");
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const TensorView& tensor : tensors_) names.push_back(tensor.name);
  return names;
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto name_of = [](const TensorView& tensor) -> std::string_view { return tensor.name; };
  const auto found = std::ranges::lower_bound(tensors_, name, {}, name_of);
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

const TensorView& SafetensorsFile::tensor(std::string_view name) const {
  if (const TensorView* tensor = find(name)) return *tensor;
  fail_input(path(), ": has no tensor ", message_quote(name), "; it holds ", tensors_.size(), " others");
}

}  // namespace luthier
