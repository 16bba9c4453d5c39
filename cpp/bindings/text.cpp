#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bind.h"
#include "luthier/text/sentencepiece_model.h"

namespace luthier {
namespace {

/// A str, with replacement characters where a damaged vocabulary is not UTF-8.
pybind11::str text_of(const std::string& bytes) {
  PyObject* text = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
  if (text == nullptr) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::str>(text);
}

}  // namespace

void bind_text(pybind11::module_& module) {
  namespace py = pybind11;
  using Release = py::call_guard<py::gil_scoped_release>;

  py::enum_<PieceType>(module, "PieceType", "What a piece of a sentencepiece vocabulary is.")
      .value("NORMAL", PieceType::kNormal)
      .value("UNKNOWN", PieceType::kUnknown)
      .value("CONTROL", PieceType::kControl)
      .value("UNUSED", PieceType::kUnused)
      .value("BYTE", PieceType::kByte);

  py::class_<SentencePieceModel>(module, "SentencePieceModel", "A sentencepiece model: text to token ids and back.")
      .def_static(
          "load",
          [](const py::bytes& content, const std::string& name) {
            const std::string_view bytes = content;
            py::gil_scoped_release release;
            return SentencePieceModel::load(bytes, name);
          },
          py::arg("content"), py::arg("name") = "sentencepiece model",
          "Reads the bytes of a .model file. `name` begins the messages. Raises InputError where they are no model.")
      .def("encode", &SentencePieceModel::encode, py::arg("text"), Release(),
           "The ids of the text, without begin and end tokens. No text yields a control piece.")
      .def(
          "encode_pieces",
          [](const SentencePieceModel& model, const std::string& text) {
            std::vector<EncodedPiece> pieces;
            {
              py::gil_scoped_release release;
              pieces = model.encode_pieces(text);
            }
            std::pair<std::vector<int32_t>, std::vector<std::pair<int32_t, int32_t>>> ids_and_places;
            for (const EncodedPiece& piece : pieces) {
              ids_and_places.first.push_back(piece.id);
              ids_and_places.second.emplace_back(piece.begin, piece.end);
            }
            return ids_and_places;
          },
          py::arg("text"),
          "The ids of the text, and the characters [start, end) that each stands for. Of the byte pieces of a "
          "character only the last stands for it; the others, and what the model adds, for nothing.")
      .def(
          "decode",
          [](const SentencePieceModel& model, const std::vector<int32_t>& ids) { return text_of(model.decode(ids)); },
          py::arg("ids"), "The text of the ids. Raises InputError for an id outside the vocabulary.")
      .def(
          "piece", [](const SentencePieceModel& model, int32_t id) { return text_of(model.piece(id)); }, py::arg("id"),
          "How the vocabulary spells a piece.")
      .def("id", &SentencePieceModel::id, py::arg("piece"), "The id of a piece, or None.")
      .def("score", &SentencePieceModel::score, py::arg("id"), "The log-probability or merge rank of a piece.")
      .def("type", &SentencePieceModel::type, py::arg("id"), "What the piece is.")
      .def("__len__", &SentencePieceModel::size)
      .def_property_readonly("unknown_id", &SentencePieceModel::unknown_id)
      .def_property_readonly("bos_id", &SentencePieceModel::bos_id)
      .def_property_readonly("eos_id", &SentencePieceModel::eos_id)
      .def_property_readonly("pad_id", &SentencePieceModel::pad_id);
}

}  // namespace luthier
