#include "luthier/formats/gguf.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "luthier/base/error.h"
#include "luthier/formats/gguf_reader.h"
#include "luthier/formats/json_reader.h"

namespace luthier {
namespace {

template <class T>
T number_at(std::span<const std::byte> numbers, uint64_t index) {
  T value;
  std::memcpy(&value, numbers.data() + index * sizeof(T), sizeof(T));
  return value;
}

// Indices of `items` in the order of their names; a name that stands twice is an InputError.
template <class Item, class Name>
std::vector<size_t> order_by(const std::vector<Item>& items, Name name, const std::string& path,
                             std::string_view what) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto key = [&](size_t i) -> std::string_view { return std::invoke(name, items[i]); };
  std::ranges::sort(order, {}, key);
  const auto twice = std::ranges::adjacent_find(order, {}, key);
  if (twice != order.end())
    fail_input(path, ": ", what, " ", message_quote(key(*twice)), " stands twice; the file is damaged");
  return order;
}

template <class Item, class Name>
const Item* find_in(const std::vector<Item>& items, const std::vector<size_t>& order, Name name,
                    std::string_view wanted) {
  const auto key = [&](size_t i) -> std::string_view { return std::invoke(name, items[i]); };
  const auto found = std::ranges::lower_bound(order, wanted, {}, key);
  return found != order.end() && key(*found) == wanted ? &items[*found] : nullptr;
}

std::optional<int64_t> to_integer(const GgufValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return *number;
  const auto* number = std::get_if<uint64_t>(&value);
  return number != nullptr && *number <= INT64_MAX ? std::optional(static_cast<int64_t>(*number)) : std::nullopt;
}

std::optional<double> to_real(const GgufValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* number = std::get_if<uint64_t>(&value)) return static_cast<double>(*number);
  const auto* number = std::get_if<int64_t>(&value);
  return number != nullptr ? std::optional(static_cast<double>(*number)) : std::nullopt;
}

template <class T>
std::optional<T> to(const GgufValue& value) {
  const T* found = std::get_if<T>(&value);
  return found != nullptr ? std::optional(*found) : std::nullopt;
}

// The value under `key` through `convert`, which gives nothing for a value of another type.
template <class Convert>
auto require(const GgufFile& file, std::string_view key, Convert convert, std::string_view expected) {
  const GgufValue* value = file.find(key);
  if (value == nullptr) fail_input(file.path(), ": the metadata ", message_quote(key), " is missing");
  auto result = convert(*value);
  if (!result) fail_input(file.path(), ": the metadata ", message_quote(key), " is not ", expected);
  return *std::move(result);
}

template <class T, class Convert>
std::vector<T> require_all(const GgufFile& file, std::string_view key, Convert convert, std::string_view expected) {
  const auto all = [&](const GgufValue& value) -> std::optional<std::vector<T>> {
    const GgufArray* array = std::get_if<GgufArray>(&value);
    if (array == nullptr) return std::nullopt;
    std::vector<T> elements;
    for (uint64_t i = 0; i < array->size; ++i) {
      const std::optional<T> element = convert(array->at(i));
      if (!element) return std::nullopt;
      elements.push_back(*element);
    }
    return elements;
  };
  return require(file, key, all, expected);
}

}  // namespace

GgufValue GgufArray::at(uint64_t index) const {
  LUTHIER_CHECK(index < size, "[GgufArray] index ", index, " of ", size);
  switch (element) {
    case GgufType::UInt8:
      return uint64_t{number_at<uint8_t>(numbers, index)};
    case GgufType::Int8:
      return int64_t{number_at<int8_t>(numbers, index)};
    case GgufType::UInt16:
      return uint64_t{number_at<uint16_t>(numbers, index)};
    case GgufType::Int16:
      return int64_t{number_at<int16_t>(numbers, index)};
    case GgufType::UInt32:
      return uint64_t{number_at<uint32_t>(numbers, index)};
    case GgufType::Int32:
      return int64_t{number_at<int32_t>(numbers, index)};
    case GgufType::Float32:
      return double{number_at<float>(numbers, index)};
    case GgufType::Bool:
      return numbers[index] != std::byte{0};
    case GgufType::String:
      return strings[index];
    case GgufType::Array:
      return arrays[index];
    case GgufType::UInt64:
      return number_at<uint64_t>(numbers, index);
    case GgufType::Int64:
      return number_at<int64_t>(numbers, index);
    case GgufType::Float64:
      return number_at<double>(numbers, index);
  }
  fail("[GgufArray] unknown type");
}

GgufFile::GgufFile(const std::string& path) : file_(path) {
  GgufContents contents = read_gguf(file_.bytes(), path);
  version_ = contents.version;
  metadata_ = std::move(contents.metadata);
  tensors_ = std::move(contents.tensors);
  key_order_ = order_by(metadata_, &GgufEntry::key, path, "the metadata");
  name_order_ = order_by(tensors_, &TensorView::name, path, "the tensor");
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const GgufEntry* entry = find_in(metadata_, key_order_, &GgufEntry::key, key);
  return entry == nullptr ? nullptr : &entry->value;
}

int64_t GgufFile::integer(std::string_view key) const {
  return require(*this, key, to_integer, "an integer of 63 bits");
}
double GgufFile::real(std::string_view key) const { return require(*this, key, to_real, "a number"); }
bool GgufFile::boolean(std::string_view key) const { return require(*this, key, to<bool>, "a boolean"); }

std::string_view GgufFile::string(std::string_view key) const {
  return require(*this, key, to<std::string_view>, "a string");
}

std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  return require_all<int64_t>(*this, key, to_integer, "an array of integers");
}

std::vector<double> GgufFile::reals(std::string_view key) const {
  return require_all<double>(*this, key, to_real, "an array of numbers");
}

const std::vector<std::string_view>& GgufFile::strings(std::string_view key) const {
  const auto pointer = [](const GgufValue& value) -> std::optional<const std::vector<std::string_view>*> {
    const GgufArray* array = std::get_if<GgufArray>(&value);
    const bool fits = array != nullptr && (array->element == GgufType::String || array->size == 0);
    return fits ? std::optional(&array->strings) : std::nullopt;
  };
  return *require(*this, key, pointer, "an array of strings");
}

const TensorView* GgufFile::find_tensor(std::string_view name) const {
  return find_in(tensors_, name_order_, &TensorView::name, name);
}

const TensorView& GgufFile::tensor(std::string_view name) const {
  if (const TensorView* tensor = find_tensor(name)) return *tensor;
  fail_input(path(), ": has no tensor ", message_quote(name), "; it holds ", tensors_.size(), " others");
}

}  // namespace luthier
