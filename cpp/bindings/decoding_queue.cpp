#include "luthier/generate/decoding_queue.h"

#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <utility>

#include "bind.h"
#include "luthier/base/error.h"
#include "python_decoder.h"

namespace luthier {
namespace {

namespace py = pybind11;
using Release = py::call_guard<py::gil_scoped_release>;

// A queue, and whether its decoder is still the one that it was made for.
class PythonQueue {
 public:
  PythonQueue(PythonDecoder& owner, const DecodingLimits& limits)
      : owner_(owner), generation_(owner.generation), queue_(owner.decoder, limits) {}

  DecodingQueue& queue() {
    LUTHIER_CHECK(generation_ == owner_.generation,
                  "[decoding_queue] the decoder's adapter was changed after the queue was made");
    return queue_;
  }

 private:
  PythonDecoder& owner_;
  int64_t generation_;
  DecodingQueue queue_;
};

const char* name_of(Finish finish) {
  switch (finish) {
    case Finish::no:
      return "";
    case Finish::end:
      return "end";
    case Finish::length:
      return "length";
    case Finish::nothing_allowed:
      return "nothing allowed";
  }
  return "";
}

int64_t add(PythonQueue& self, std::vector<int32_t> prompt, int64_t max_new_tokens, std::vector<int32_t> end_tokens,
            double temperature, double top_p, uint64_t seed, std::optional<int64_t> logprobs) {
  DecodingRequest request;
  request.prompt = std::move(prompt);
  request.max_new_tokens = max_new_tokens;
  request.end_tokens = std::move(end_tokens);
  request.temperature = temperature;
  request.top_p = top_p;
  request.seed = seed;
  request.logprobs = logprobs.value_or(-1);
  return self.queue().add(std::move(request));
}

}  // namespace

void bind_decoding_queue(pybind11::module_& module) {
  py::class_<DecodedToken>(module, "DecodedToken", "One more token of an answer.")
      .def_readonly("id", &DecodedToken::id, "The answer's number.")
      .def_readonly("token", &DecodedToken::token)
      .def_property_readonly(
          "finish", [](const DecodedToken& self) { return name_of(self.finish); },
          "Empty while the answer goes on; else end, length or nothing allowed. Only with length the token is a part "
          "of the answer.")
      .def_readonly("logprob", &DecodedToken::logprob,
                    "By the model at temperature 1, whatever was allowed; 0 if not asked.")
      .def_readonly("likely", &DecodedToken::likely,
                    "The most probable tokens with their log-probabilities, as many as were asked for.");

  py::class_<PythonQueue>(module, "DecodingQueue",
                          "Answers to prompts that come and go, decoded side by side. For one thread at a time.")
      .def(py::init([](PythonDecoder& decoder, int64_t max_rows, int64_t cache_tokens, int64_t step_tokens) {
             return std::make_unique<PythonQueue>(decoder, DecodingLimits{max_rows, cache_tokens, step_tokens});
           }),
           py::arg("decoder"), py::arg("max_rows") = 64, py::arg("cache_tokens") = 32768, py::arg("step_tokens") = 512,
           py::keep_alive<1, 2>(),
           "max_rows: prompts that are answered side by side. cache_tokens: keys and values held. step_tokens: of "
           "prompts computed in one step.")
      .def("add", &add, py::arg("prompt"), py::arg("max_new_tokens"), py::arg("end_tokens"),
           py::arg("temperature") = 0.0, py::arg("top_p") = 1.0, py::arg("seed") = 0, py::arg("logprobs") = py::none(),
           "The number of the answer, by which step() tells its tokens. logprobs: how many most probable tokens are "
           "told with each.")
      .def(
          "allow",
          [](PythonQueue& self, int64_t id, const std::vector<int32_t>& allowed) { self.queue().allow(id, allowed); },
          py::arg("id"), py::arg("allowed"),
          "Restricts the next token of an answer, and only that, to those whose bit is set: bit t % 32 of word "
          "t // 32.")
      .def(
          "cancel", [](PythonQueue& self, int64_t id) { self.queue().cancel(id); }, py::arg("id"),
          "No more tokens come for the answer; unknown and finished ones are ignored.")
      .def(
          "step", [](PythonQueue& self) { return self.queue().step(); }, Release(),
          "Computes one more token for each answer, or a part of the prompts, and gives the new tokens.")
      .def_property_readonly("waiting", [](PythonQueue& self) { return self.queue().waiting(); })
      .def_property_readonly("running", [](PythonQueue& self) { return self.queue().running(); })
      .def_property_readonly(
          "computed_tokens", [](PythonQueue& self) { return self.queue().computed_tokens(); },
          "Tokens of prompts that were computed so far.")
      .def_property_readonly(
          "reused_tokens", [](PythonQueue& self) { return self.queue().reused_tokens(); },
          "Tokens of prompts that were in the cache already.");
}

}  // namespace luthier
