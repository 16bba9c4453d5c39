#include <pybind11/stl.h>

#include "bind.h"
#include "luthier/data/dataset.h"
#include "luthier/data/sampler.h"

namespace luthier {
namespace {

namespace py = pybind11;

py::dict ledger_entry(const LedgerEntry& entry) {
  py::dict line;
  line["row"] = entry.row;
  line["tokens"] = entry.tokens;
  line["supervised_tokens"] = entry.supervised_tokens;
  line["end_supervised"] = entry.end_supervised;
  line["tokens_cut"] = entry.tokens_cut;
  line["dropped"] = entry.dropped.empty() ? py::object(py::none()) : py::object(py::str(entry.dropped));
  line["times_seen"] = entry.times_seen;
  return line;
}

void bind_dataset(py::module_& module) {
  py::class_<Dataset>(module, "Dataset", "Tokenised rows and the ledger of what became of each.")
      .def(py::init<int64_t>(), py::arg("max_length"), "Rows are cut to their first max_length tokens.")
      .def(
          "add",
          [](Dataset& self, int64_t row, std::vector<int32_t> tokens, std::vector<float> weights,
             std::vector<bool> ends) {
            return self.add({row, std::move(tokens), std::move(weights), {ends.begin(), ends.end()}});
          },
          py::arg("row"), py::arg("tokens"), py::arg("weights"), py::arg("ends"),
          "Adds a row: token ids, the weight of predicting each, and which close an assistant turn. Returns why it was "
          "dropped, or an empty string.")
      .def("__len__", &Dataset::size)
      .def(
          "row", [](const Dataset& self, int64_t example) { return self.example(example).row; }, py::arg("example"),
          "The caller's number of an example's row.")
      .def(
          "length", [](const Dataset& self, int64_t example) { return self.example(example).tokens.size(); },
          py::arg("example"), "Tokens of an example.")
      .def(
          "supervised", [](const Dataset& self, int64_t example) { return self.example(example).weight(); },
          py::arg("example"), "The summed weight of an example's targets.")
      .def(
          "ledger",
          [](const Dataset& self) {
            py::list lines;
            for (const LedgerEntry& entry : self.ledger()) lines.append(ledger_entry(entry));
            return lines;
          },
          "One entry for each added row, in order: row, tokens, supervised_tokens, end_supervised, tokens_cut, "
          "dropped, "
          "times_seen.");
}

void bind_sampler(py::module_& module) {
  py::class_<Sampler>(module, "Sampler", "Which examples make up each optimiser step; resumable.")
      .def(py::init<int64_t, int64_t, uint64_t, bool>(), py::arg("count"), py::arg("rows_per_step"), py::arg("seed"),
           py::arg("shuffled"))
      .def("next", &Sampler::next, "Indices of the examples of the next step.")
      .def_property_readonly("steps_per_epoch", &Sampler::steps_per_epoch)
      .def_property_readonly(
          "epoch", [](const Sampler& self) { return self.state().epoch; }, "Epoch of the next step, from 0.")
      .def(
          "state",
          [](const Sampler& self) {
            py::dict state;
            state["epoch"] = self.state().epoch;
            state["offset"] = self.state().offset;
            return state;
          },
          "What restore() takes.")
      .def(
          "restore",
          [](Sampler& self, const py::dict& state) {
            self.restore({state["epoch"].cast<int64_t>(), state["offset"].cast<int64_t>()});
          },
          py::arg("state"), "Goes on from a state.");
}

}  // namespace

void bind_data(pybind11::module_& module) {
  bind_dataset(module);
  bind_sampler(module);
}

}  // namespace luthier
