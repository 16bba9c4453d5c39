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

// Rows of added tokens get back what they held before the adapter, and are no longer trained.
void detach_tokens(PythonDecoder& self) {
  for (auto& [rows, before] : self.rows_before) rows.copy_(before);
  self.rows_before.clear();
  detach_token_rows(self.decoder);
}

at::Tensor weight(PythonDecoder& self, const std::string& name) {
  std::vector<Parameter> before;  // rows of added tokens, as they are without the adapter
  for (size_t i = 0; i < self.rows_before.size(); ++i) {
    Parameter rows = self.updates[self.updates.size() - self.rows_before.size() + i];
    rows.master = self.rows_before[i].second;
    before.push_back(std::move(rows));
  }
  return merged_weight(self.decoder, before, {}, name);
}

at::Tensor weight_with_update(PythonDecoder& self, const std::string& name) {
  return merged_weight(self.decoder, self.updates, self.lora.value_or(LoraSettings{}), name);
}

void attach_new(PythonDecoder& self, int64_t rank, double alpha, std::vector<std::string> targets, bool rslora,
                uint64_t seed) {
  const LoraSettings settings{rank, alpha, std::move(targets), rslora};
  std::vector<Parameter> updates = attach_lora(self.decoder, settings, seed);
  detach_tokens(self);
  self.updates = std::move(updates);
  self.lora = settings;
  ++self.generation;
}

void attach_tensors(PythonDecoder& self, const std::map<std::string, at::Tensor>& tensors, int64_t rank, double alpha,
                    std::vector<std::string> targets, bool rslora) {
  const LoraSettings settings{rank, alpha, std::move(targets), rslora};
  std::vector<Parameter> updates = attach_lora(self.decoder, settings, tensors);
  detach_tokens(self);
  self.updates = std::move(updates);
  self.lora = settings;
  ++self.generation;
}

void give_rows(PythonDecoder& self, int64_t first, int64_t count) {
  if (self.lora) fail_input("an adapter is attached: tokens are added before that");
  add_tokens(self.decoder, {first, count});
  ++self.generation;
}

void attach_tokens(PythonDecoder& self, int64_t first, int64_t count,
                   const std::optional<std::map<std::string, at::Tensor>>& tensors) {
  if (!self.lora) fail_input("no adapter is attached: call attach_lora first");
  if (!self.rows_before.empty()) fail_input("rows of tokens are attached already");
  const TokenRange tokens{first, count};
  // Copied first: with tensors the rows change. Without, this checks the range.
  std::vector<Parameter> rows = attach_token_rows(self.decoder, tokens);
  std::vector<std::pair<at::Tensor, at::Tensor>> before;
  for (const Parameter& parameter : rows) before.emplace_back(parameter.read, parameter.read.clone());
  if (tensors) {
    try {
      rows = attach_token_rows(self.decoder, tokens, *tensors);
    } catch (...) {
      detach_token_rows(self.decoder);
      throw;
    }
  }
  self.rows_before = std::move(before);
  for (Parameter& parameter : rows) self.updates.push_back(std::move(parameter));
  ++self.generation;
}

void detach(PythonDecoder& self) {
  detach_tokens(self);
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

at::Tensor logits(PythonDecoder& self, const std::vector<int32_t>& tokens, int64_t first) {
  if (tokens.empty()) fail_input("there are no tokens");
  const auto count = static_cast<int64_t>(tokens.size());
  if (first < 0 || first >= count) fail_input("the first token is ", first, ": there are ", count, " tokens");
  const std::vector<const std::vector<int32_t>*> rows{&tokens};
  const Batch batch = make_prompt_batch(rows, 0, nullptr);
  DecoderPass pass(self.decoder);
  const at::Tensor states = pass.forward(make_forest_input(batch, {}, self.decoder.config), false);
  const at::Tensor hidden = states.narrow(0, first, count - first);
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
      .def("add_tokens", &give_rows, py::arg("first"), py::arg("count"), Release(),
           "Gives tokens from first on rows of the embedding and the head, each the mean of the rows before them. Rows "
           "that stand behind the vocabulary are used first.")
      .def("attach_tokens", &attach_tokens, py::arg("first"), py::arg("count"), py::arg("tensors") = py::none(),
           Release(),
           "Makes the rows of these tokens a part of the attached adapter, trained with it; tensors, from a PEFT file, "
           "are their values.")
      .def("detach", &detach, "Takes the adapter away; rows of tokens get back what they held before.")
      .def("adapter_tensors", &adapter_tensors, "Copies of the adapter's matrices in fp32, named as in PEFT's files.")
      .def("logits", &logits, py::arg("tokens"), py::arg("first") = 0, Release(),
           "After each token from index first on: [tokens - first, vocabulary] fp32.");
}

}  // namespace luthier
