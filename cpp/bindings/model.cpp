#include <ATen/ops/empty.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <map>

#include "bind.h"
#include "luthier/base/error.h"
#include "luthier/model/load.h"
#include "luthier/model/pass.h"
#include "luthier/ops/token_logprob.h"
#include "python_decoder.h"
#include "tensor_caster.h"

namespace luthier {
namespace {

namespace py = pybind11;
using Release = py::call_guard<py::gil_scoped_release>;

at::ScalarType type_of(const std::string& name) {
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  fail_input("dtype is \"", name, "\": it must be float32 or bfloat16");
}

std::unique_ptr<PythonDecoder> load(const std::string& path, const std::string& dtype) {
  auto decoder = std::make_unique<PythonDecoder>();
  decoder->decoder = load_decoder(path, type_of(dtype));
  return decoder;
}

py::dict config(const PythonDecoder& self) {
  const DecoderConfig& c = self.decoder.config;
  py::dict out;
  out["family"] = c.family;
  out["vocabulary_size"] = c.vocabulary_size;
  out["hidden_size"] = c.hidden_size;
  out["intermediate_size"] = c.intermediate_size;
  out["layers"] = c.layers;
  out["heads"] = c.heads;
  out["key_heads"] = c.key_heads;
  out["head_size"] = c.head_size;
  out["max_positions"] = c.max_positions;
  out["norm_epsilon"] = c.norm_epsilon;
  out["rope_base"] = c.ropes.front().base;
  out["rope_scaled"] = std::any_of(c.ropes.begin(), c.ropes.end(), [](const RopeSettings& rope) {
    return rope.scaling.kind != RopeScaling::Kind::none;
  });
  const std::vector<int32_t> windows = windows_of(c);
  out["window"] = *std::max_element(windows.begin(), windows.end());
  out["attention_bias"] = c.query_key_value_bias;
  out["output_bias"] = c.output_bias;
  out["feed_forward_bias"] = c.feed_forward_bias;
  out["tied_head"] = c.tied_head;
  return out;
}

int64_t parameter_count(PythonDecoder& self) {
  int64_t count = 0;
  for (const NamedWeight& weight : named_weights(self.decoder)) count += weight.value.numel();
  return count;
}

std::vector<std::string> linear_names(PythonDecoder& self) {
  std::vector<std::string> names;
  for (const PlacedLinear& placed : linear_layers(self.decoder)) {
    if (placed.index > 0) break;
    for (const LinearPart& part : placed.layer->parts) names.push_back(part.name);
  }
  return names;
}

std::vector<std::string> weight_names(PythonDecoder& self) {
  std::vector<std::string> names;
  for (const NamedWeight& weight : named_weights(self.decoder)) names.push_back(weight.name);
  return names;
}

at::Tensor weight(PythonDecoder& self, const std::string& name) { return merged_weight(self.decoder, {}, {}, name); }

at::Tensor weight_with_update(PythonDecoder& self, const std::string& name) {
  return merged_weight(self.decoder, self.updates, self.lora.value_or(LoraSettings{}), name);
}

void attach_new(PythonDecoder& self, int64_t rank, double alpha, std::vector<std::string> targets, bool rslora,
                uint64_t seed) {
  const LoraSettings settings{rank, alpha, std::move(targets), rslora};
  self.updates = attach_lora(self.decoder, settings, seed);
  self.lora = settings;
  ++self.generation;
}

void attach_tensors(PythonDecoder& self, const std::map<std::string, at::Tensor>& tensors, int64_t rank, double alpha,
                    std::vector<std::string> targets, bool rslora) {
  const LoraSettings settings{rank, alpha, std::move(targets), rslora};
  self.updates = attach_lora(self.decoder, settings, tensors);
  self.lora = settings;
  ++self.generation;
}

void detach(PythonDecoder& self) {
  detach_updates(self.decoder);
  self.updates.clear();
  self.lora.reset();
  ++self.generation;
}

std::map<std::string, at::Tensor> adapter_tensors(const PythonDecoder& self) {
  std::map<std::string, at::Tensor> tensors;
  for (const Parameter& update : self.updates) tensors[update.name] = update.master.clone();
  return tensors;
}

at::Tensor logits(PythonDecoder& self, const std::vector<int32_t>& tokens) {
  if (tokens.empty()) fail_input("there are no tokens");
  const std::vector<const std::vector<int32_t>*> rows{&tokens};
  const Batch batch = make_prompt_batch(rows, 0, nullptr);
  DecoderPass pass(self.decoder);
  const at::Tensor hidden = pass.forward(make_forest_input(batch, {}, self.decoder.config), false);
  at::Tensor out = at::empty({hidden.size(0), self.decoder.config.vocabulary_size}, at::kFloat);
  logits_forward(hidden, self.decoder.head.value, self.decoder.config.logit_map(), out);
  return out;
}

}  // namespace

void bind_model(pybind11::module_& module) {
  py::class_<PythonDecoder>(module, "Decoder", "A decoder's weights, and the adapter that is attached.")
      .def_static("load", &load, py::arg("path"), py::arg("dtype"), Release(),
                  "From a Transformers folder or a GGUF file; dtype float32 or bfloat16.")
      .def_property_readonly("config", &config)
      .def_property_readonly(
          "dtype", [](const PythonDecoder& self) { return self.decoder.type() == at::kFloat ? "float32" : "bfloat16"; })
      .def_property_readonly("parameter_count", &parameter_count)
      .def_property_readonly("linear_names", &linear_names, "Names of the projections of a layer.")
      .def("weight_names", &weight_names, "Names of all weights, as Transformers spells them.")
      .def("weight", &weight, py::arg("name"), Release(), "A copy of a weight in fp32, without the adapter.")
      .def("merged_weight", &weight_with_update, py::arg("name"), Release(),
           "A weight in fp32 with the adapter's update added.")
      .def("attach_lora", &attach_new, py::arg("rank"), py::arg("alpha"), py::arg("targets"), py::arg("rslora"),
           py::arg("seed"), Release(), "Attaches a new LoRA adapter: A random from the seed, B zero.")
      .def("attach_adapter", &attach_tensors, py::arg("tensors"), py::arg("rank"), py::arg("alpha"), py::arg("targets"),
           py::arg("rslora"), Release(), "Attaches the tensors of a PEFT LoRA file; all must fit.")
      .def("detach", &detach, "Takes the adapter away.")
      .def("adapter_tensors", &adapter_tensors, "Copies of the adapter's matrices in fp32, named as in PEFT's files.")
      .def("logits", &logits, py::arg("tokens"), Release(), "[tokens, vocabulary] fp32.");
}

}  // namespace luthier
