// luthier._core: safetensors and GGUF files. Tensors go to Python as buffers, without torch or NumPy.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bind.h"
#include "luthier/base/error.h"
#include "luthier/formats/checkpoint.h"
#include "luthier/formats/gguf.h"
#include "luthier/formats/gguf_blocks.h"
#include "luthier/formats/json_reader.h"
#include "luthier/formats/safetensors.h"
#include "luthier/formats/safetensors_writer.h"

namespace luthier {
namespace {

namespace py = pybind11;
using Shape = py::typing::Tuple<py::int_, py::ellipsis>;
using Info = py::typing::Tuple<py::str, Shape>;
using NamedInfo = py::typing::Tuple<py::str, py::str, Shape>;

// The bytes of one tensor, read only; keeps the file that they are mapped from.
struct TensorBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> data;
};

py::buffer_info describe(const TensorBytes& bytes) {
  static const std::byte nothing{};
  const std::byte* data = bytes.data.empty() ? &nothing : bytes.data.data();
  return {const_cast<std::byte*>(data), 1, "B", static_cast<py::ssize_t>(bytes.data.size()), /*readonly=*/true};
}

py::memoryview view_of(std::shared_ptr<const void> owner, const TensorView& tensor) {
  return py::memoryview(py::cast(TensorBytes{std::move(owner), tensor.data}));
}

Info info_of(const TensorView& tensor) {
  return py::make_tuple(dtype_name(tensor.type), py::tuple(py::cast(tensor.shape)));
}

int64_t element_count(const TensorView& tensor) {
  int64_t count = 1;
  for (const int64_t size : tensor.shape) count *= size;
  return count;
}

// A bytearray of the tensor's elements as float32.
py::bytearray dequantize_to_bytes(const GgufFile& file, const std::string& name) {
  const TensorView& tensor = file.tensor(name);
  if (!can_dequantize(tensor.type)) dequantize(tensor, {});  // says so, before anything is allocated
  const auto count = static_cast<size_t>(element_count(tensor));
  auto result = py::reinterpret_steal<py::bytearray>(
      PyByteArray_FromStringAndSize(nullptr, static_cast<py::ssize_t>(count * sizeof(float))));
  if (!result) throw py::error_already_set();
  auto* values = reinterpret_cast<float*>(PyByteArray_AS_STRING(result.ptr()));
  const py::gil_scoped_release release;
  dequantize(tensor, {values, count});
  return result;
}

py::object to_python(const GgufValue& value);

py::list to_list(const GgufArray& array) {
  py::list list(array.size);
  for (uint64_t i = 0; i < array.size; ++i) {
    list[i] = array.element == GgufType::Array ? py::object(to_list(array.arrays[i])) : to_python(array.at(i));
  }
  return list;
}

py::object to_python(const GgufValue& value) {
  if (const auto* array = std::get_if<GgufArray>(&value)) return to_list(*array);
  if (const auto* text = std::get_if<std::string_view>(&value)) return py::str(text->data(), text->size());
  return std::visit([](const auto& scalar) -> py::object { return py::cast(scalar); }, value);
}

py::typing::Dict<py::str, py::object> metadata_of(const GgufFile& file) {
  py::typing::Dict<py::str, py::object> result;
  for (const GgufEntry& entry : file.metadata()) {
    result[py::str(entry.key.data(), entry.key.size())] = to_python(entry.value);
  }
  return result;
}

py::typing::List<NamedInfo> tensors_of(const GgufFile& file) {
  py::typing::List<NamedInfo> result;
  for (const TensorView& tensor : file.tensors()) {
    result.append(py::make_tuple(tensor.name, dtype_name(tensor.type), py::tuple(py::cast(tensor.shape))));
  }
  return result;
}

using TensorArgument = std::tuple<std::string, std::vector<int64_t>, py::buffer>;

void write_from_python(const std::string& path, const std::map<std::string, TensorArgument>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<py::buffer_info> buffers;  // hold the buffers until everything is written
  std::vector<TensorView> views;
  for (const auto& [name, argument] : tensors) {
    const auto& [type_name, shape, buffer] = argument;
    const auto type = dtype_from_safetensors(type_name);
    if (!type)
      fail_input(path, ": tensor ", message_quote(name), ": the type ", message_quote(type_name), " is unknown");
    const auto& info = buffers.emplace_back(buffer.request());
    if (!PyBuffer_IsContiguous(info.view(), 'C'))
      throw py::type_error("[write_safetensors] a buffer is not contiguous");
    const std::span data(static_cast<const std::byte*>(info.ptr), static_cast<size_t>(info.size * info.itemsize));
    views.push_back({name, *type, shape, data});
  }
  const py::gil_scoped_release release;
  write_safetensors(path, views, metadata);
}

}  // namespace

void bind_formats(py::module_& module) {
  py::class_<TensorBytes>(module, "TensorBytes", py::buffer_protocol(), "The bytes of a tensor in a mapped file.")
      .def_buffer([](TensorBytes& bytes) { return describe(bytes); });

  using Safetensors = std::shared_ptr<SafetensorsFile>;
  py::class_<SafetensorsFile, Safetensors>(module, "SafetensorsFile", "A mapped safetensors file.")
      .def(py::init<const std::string&>(), py::arg("path"), py::call_guard<py::gil_scoped_release>(),
           "Maps the file and checks its header; InputError when anything in it does not hold.")
      .def_property_readonly("path", &SafetensorsFile::path)
      .def_property_readonly("metadata", &SafetensorsFile::metadata, "The strings under __metadata__.")
      .def("names", &SafetensorsFile::names, "The names of all tensors, sorted.")
      .def(
          "info", [](const SafetensorsFile& file, const std::string& name) { return info_of(file.tensor(name)); },
          py::arg("name"), "(type name, shape) of a tensor; InputError when there is none of that name.")
      .def(
          "bytes", [](const Safetensors& file, const std::string& name) { return view_of(file, file->tensor(name)); },
          py::arg("name"), "A read-only memoryview of a tensor's bytes in the mapped file, which it keeps alive.");

  using SharedCheckpoint = std::shared_ptr<Checkpoint>;
  py::class_<Checkpoint, SharedCheckpoint>(module, "Checkpoint", "The safetensors files of a model folder as one.")
      .def(py::init([](const std::string& path) { return std::make_shared<Checkpoint>(open_checkpoint(path)); }),
           py::arg("path"), py::call_guard<py::gil_scoped_release>(),
           "Opens a folder with model.safetensors, or its index and shards, or one file; InputError names what is "
           "missing.")
      .def("names", &Checkpoint::names, "The names of all tensors, sorted.")
      .def(
          "info", [](const Checkpoint& all, const std::string& name) { return info_of(all.tensor(name)); },
          py::arg("name"), "(type name, shape) of a tensor; InputError when there is none of that name.")
      .def(
          "bytes", [](const SharedCheckpoint& all, const std::string& name) { return view_of(all, all->tensor(name)); },
          py::arg("name"), "A read-only memoryview of a tensor's bytes in the mapped file, which it keeps alive.");

  module.def(
      "write_safetensors", &write_from_python, py::arg("path"), py::arg("tensors"),
      py::arg("metadata") = std::map<std::string, std::string>(),
      "Writes {name: (type name, shape, contiguous buffer)}; the file appears under its name when it is complete.");

  using Gguf = std::shared_ptr<GgufFile>;
  py::class_<GgufFile, Gguf>(module, "GgufFile", "A mapped GGUF file.")
      .def(py::init<const std::string&>(), py::arg("path"), py::call_guard<py::gil_scoped_release>(),
           "Maps the file and checks its metadata; InputError when anything in it does not hold.")
      .def_property_readonly("path", &GgufFile::path)
      .def_property_readonly("version", &GgufFile::version)
      .def_property_readonly("metadata", &metadata_of, "All metadata as a new dict, in the order of the file.")
      .def_property_readonly("tensors", &tensors_of, "(name, type name, shape in torch's order) of each tensor.")
      .def(
          "bytes", [](const Gguf& file, const std::string& name) { return view_of(file, file->tensor(name)); },
          py::arg("name"), "A read-only memoryview of a tensor's stored bytes, which keeps the file alive.")
      .def("dequantize", &dequantize_to_bytes, py::arg("name"),
           "The tensor's elements as float32, row-major, in a new bytearray.");
}

}  // namespace luthier
