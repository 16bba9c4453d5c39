#include "luthier/generate/generate.h"

#include <ATen/Parallel.h>
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "bind.h"
#include "luthier/base/error.h"
#include "luthier/ops/instruction_set.h"
#include "python_decoder.h"

namespace luthier {
namespace {

namespace py = pybind11;

std::vector<std::vector<int32_t>> generate_answers(PythonDecoder& decoder,
                                                   const std::vector<std::vector<int32_t>>& prompts,
                                                   int64_t max_new_tokens, std::vector<int32_t> end_tokens,
                                                   double temperature, uint64_t seed, int64_t max_rows,
                                                   const py::object& on_done) {
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
  py::gil_scoped_release release;
  return generate(decoder.decoder, prompts, settings, progress);
}

void set_threads(int threads) {
  if (threads < 1) fail_input("threads is ", threads, ": it must be at least 1");
  at::set_num_threads(threads);
}

}  // namespace

void bind_generate(pybind11::module_& module) {
  module.def("generate", &generate_answers, py::arg("decoder"), py::arg("prompts"), py::arg("max_new_tokens"),
             py::arg("end_tokens"), py::arg("temperature") = 0.0, py::arg("seed") = 0, py::arg("max_rows") = 64,
             py::arg("on_done") = py::none(),
             "The answers to token prompts, in their order, without the end token. on_done(finished) is called after "
             "each token and may raise.");
  module.def("set_threads", &set_threads, py::arg("threads"), "How many threads the core computes with.");
  module.def("threads", [] { return at::get_num_threads(); }, "How many threads the core computes with.");
  module.def(
      "instruction_set", [] { return name_of(instruction_set()); },
      "Which implementation of the operations runs: reference, avx2, avx512 or amx.");
}

}  // namespace luthier
