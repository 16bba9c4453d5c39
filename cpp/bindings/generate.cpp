#include "luthier/generate/generate.h"

#include <ATen/Parallel.h>
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <memory>
#include <utility>

#include "bind.h"
#include "luthier/base/error.h"
#include "luthier/generate/token_trie.h"
#include "luthier/ops/instruction_set.h"
#include "python_decoder.h"
#include "tensor_caster.h"

namespace luthier {
namespace {

namespace py = pybind11;

// Asks a Python function for the masks of all answers at once. It is made and destroyed with the GIL held.
class PythonConstraint final : public Constraint {
 public:
  explicit PythonConstraint(py::object function) : function_(std::move(function)) {}

  void next(std::span<const int64_t> prompts, std::span<const int32_t> tokens, const at::Tensor& masks) override {
    py::gil_scoped_acquire acquire;
    function_(std::vector<int64_t>(prompts.begin(), prompts.end()), std::vector<int32_t>(tokens.begin(), tokens.end()),
              masks);
  }

 private:
  py::object function_;
};

std::unique_ptr<Constraint> make_constraint(const py::object& given) {
  if (given.is_none()) return nullptr;
  if (py::isinstance<TokenTrie>(given)) return std::make_unique<TrieConstraint>(given.cast<const TokenTrie&>());
  return std::make_unique<PythonConstraint>(given);
}

std::vector<std::vector<int32_t>> generate_answers(PythonDecoder& decoder,
                                                   const std::vector<std::vector<int32_t>>& prompts,
                                                   int64_t max_new_tokens, std::vector<int32_t> end_tokens,
                                                   double temperature, uint64_t seed, int64_t max_rows,
                                                   const py::object& on_done, const py::object& constraint) {
  GenerateSettings settings;
  settings.max_new_tokens = max_new_tokens;
  settings.end_tokens = std::move(end_tokens);
  settings.temperature = temperature;
  settings.seed = seed;
  settings.max_rows = max_rows;
  const GenerateProgress progress = [&](int64_t finished) {
    py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!on_done.is_none()) on_done(finished);
  };
  const std::unique_ptr<Constraint> allowed = make_constraint(constraint);
  py::gil_scoped_release release;
  return generate(decoder.decoder, prompts, settings, progress, allowed.get());
}

void set_threads(int threads) {
  if (threads < 1) fail_input("threads is ", threads, ": it must be at least 1");
  at::set_num_threads(threads);
}

}  // namespace

void bind_generate(pybind11::module_& module) {
  py::class_<TokenTrie>(module, "TokenTrie",
                        "A closed set of answers as a tree of their tokens, each followed by an end token.")
      .def(py::init<const std::vector<std::vector<int32_t>>&, std::vector<int32_t>>(), py::arg("sequences"),
           py::arg("end_tokens"), "Raises InputError for no sequences, and for one that holds an end token.")
      .def("__len__", &TokenTrie::nodes, "Its nodes.");
  module.def("generate", &generate_answers, py::arg("decoder"), py::arg("prompts"), py::arg("max_new_tokens"),
             py::arg("end_tokens"), py::arg("temperature") = 0.0, py::arg("seed") = 0, py::arg("max_rows") = 64,
             py::arg("on_done") = py::none(), py::arg("constraint") = py::none(),
             "The answers to token prompts, in their order, without the end token. on_done(finished) is called after "
             "each token and may raise. constraint is a TokenTrie, or a function (prompts, tokens, masks) that gets "
             "places among the prompts, the newest token of each (-1: none yet) and a tensor [prompts, (vocabulary + "
             "31) // 32] of int32 zeros, in which it sets bit t % 32 of word t // 32 where token t may come next.");
  module.def("set_threads", &set_threads, py::arg("threads"), "How many threads the core computes with.");
  module.def("threads", [] { return at::get_num_threads(); }, "How many threads the core computes with.");
  module.def(
      "instruction_set", [] { return name_of(instruction_set()); },
      "Which implementation of the operations runs: reference, avx2, avx512 or amx.");
}

}  // namespace luthier
