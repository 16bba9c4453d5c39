#include <pybind11/stl.h>

#include <memory>

#include "bind.h"
#include "luthier/base/error.h"
#include "luthier/model/activations.h"
#include "luthier/train/divide_rows.h"
#include "luthier/train/losses.h"
#include "luthier/train/step_cost.h"
#include "luthier/train/trainer.h"
#include "python_decoder.h"
#include "tensor_caster.h"

namespace luthier {
namespace {

namespace py = pybind11;
using Release = py::call_guard<py::gil_scoped_release>;
using Tensors = std::map<std::string, at::Tensor>;

bool is_full(const std::string& mode) {
  if (mode != "lora" && mode != "full") fail_input("the mode is \"", mode, "\": it must be lora or full");
  return mode == "full";
}

// A trainer and what it points into.
class PythonTrainer {
 public:
  PythonTrainer(PythonDecoder& owner, const std::string& mode, const TrainerSettings& settings) : owner_(owner) {
    full_ = is_full(mode);
    if (full_ && owner.lora) fail_input("an adapter is attached: full fine-tuning trains a model without one");
    if (!full_ && !owner.lora) fail_input("no adapter is attached: call attach_lora first");
    train_all_weights(owner.decoder, full_);
    if (full_) {
      weights_ = weight_parameters(owner.decoder);
    } else {
      train_lora(owner.decoder, owner.updates, true);
      train_token_rows(owner.decoder, owner.updates, true);
    }
    generation_ = owner.generation;
    trainer_ = std::make_unique<Trainer>(owner.decoder, parameters(), settings);
  }

  Trainer& trainer() {
    LUTHIER_CHECK(generation_ == owner_.generation,
                  "[train] the decoder's adapter was changed after the trainer was made");
    return *trainer_;
  }

  std::vector<Parameter>& parameters() { return full_ ? weights_ : owner_.updates; }

 private:
  PythonDecoder& owner_;
  bool full_ = false;
  int64_t generation_ = 0;
  std::vector<Parameter> weights_;
  std::unique_ptr<Trainer> trainer_;
};

std::pair<double, Tensors> loss_and_gradients(PythonTrainer& self, Dataset& dataset,
                                              const std::vector<int64_t>& examples) {
  const StepResult result = self.trainer().gradients(dataset, examples);
  Tensors gradients;
  for (const Parameter& parameter : self.parameters()) {
    gradients[parameter.name] = parameter.gradient.mul(parameter.gradient_scale);
  }
  return {result.loss, std::move(gradients)};
}

std::pair<double, double> loss(PythonTrainer& self, const Dataset& dataset, const std::vector<int64_t>& examples) {
  const LossSum sum = self.trainer().loss(dataset, examples);
  return {sum.loss, sum.weight};
}

Tensors state(PythonTrainer& self, bool copy) {
  Tensors tensors = self.trainer().optimizer().state();
  for (auto& [name, tensor] : tensors) tensor = copy ? tensor.clone() : tensor;
  return tensors;
}

Tensors masters(PythonTrainer& self) {
  Tensors tensors;
  for (const Parameter& parameter : self.parameters()) tensors[parameter.name] = parameter.master.clone();
  return tensors;
}

void bind_step_cost(py::module_& module) {
  py::class_<ForestCost>(module, "ForestCost", "What one forest of an optimiser step takes.")
      .def_readonly("tokens", &ForestCost::tokens, "Of the examples, each on its own.")
      .def_readonly("rows", &ForestCost::rows, "Tokens that are computed.")
      .def_readonly("targets", &ForestCost::targets, "Supervised tokens.")
      .def_readonly("scratch_bytes", &ForestCost::scratch_bytes, "Of the operations while they run.")
      .def_readonly("forward_flops", &ForestCost::forward_flops)
      .def_readonly("backward_flops", &ForestCost::backward_flops);
  module.def(
      "forest_costs",
      [](PythonDecoder& decoder, const Dataset& dataset, const std::vector<int64_t>& examples, int64_t micro_tokens,
         const std::string& mode) {
        return forest_costs(decoder.decoder, dataset, examples, micro_tokens, is_full(mode));
      },
      py::arg("decoder"), py::arg("dataset"), py::arg("examples"), py::arg("micro_tokens"), py::arg("mode"), Release(),
      "The forests that a trainer would make of a step over these examples. Computes and changes nothing.");
  module.def(
      "trained_count",
      [](PythonDecoder& decoder, const std::string& mode) { return trained_count(decoder.decoder, is_full(mode)); },
      py::arg("decoder"), py::arg("mode"), "Numbers that a trainer would train.");
  module.def(
      "trainer_bytes",
      [](PythonDecoder& decoder, const std::string& mode) { return trainer_bytes(decoder.decoder, is_full(mode)); },
      py::arg("decoder"), py::arg("mode"), "What a trainer would allocate: gradients, moments, masters.");
  module.def(
      "weight_bytes", [](PythonDecoder& decoder) { return weight_bytes(decoder.decoder); }, py::arg("decoder"),
      "What the weights hold, and the adapter with its masters.");
  module.def(
      "pass_bytes",
      [](PythonDecoder& decoder, int64_t rows, bool backward, bool recompute) {
        return pass_bytes(decoder.decoder, rows, !backward ? Keep::nothing : recompute ? Keep::inputs : Keep::all);
      },
      py::arg("decoder"), py::arg("rows"), py::arg("backward"), py::arg("recompute") = false,
      "What a pass over a forest of this many rows allocates, forward alone or with backward.");
}

}  // namespace

void bind_train(pybind11::module_& module) {
  bind_step_cost(module);
  py::class_<StepResult>(module, "StepResult", "What one optimiser step did.")
      .def_readonly("loss", &StepResult::loss)
      .def_readonly("grad_norm", &StepResult::gradient_norm)
      .def_readonly("weight", &StepResult::weight)
      .def_readonly("rows", &StepResult::rows)
      .def_readonly("tokens", &StepResult::tokens)
      .def_readonly("computed_tokens", &StepResult::computed_tokens)
      .def_readonly("supervised_tokens", &StepResult::supervised_tokens);

  py::class_<PythonTrainer>(module, "Trainer", "Optimiser steps over a decoder.")
      .def(
          py::init([](PythonDecoder& decoder, const std::string& mode, int64_t micro_tokens, double clip,
                      double weight_decay, double beta1, double beta2, double epsilon, bool recompute) {
            TrainerSettings settings;
            settings.micro_tokens = micro_tokens;
            settings.clip = clip;
            settings.recompute = recompute;
            settings.optimizer = {0, beta1, beta2, epsilon, weight_decay};
            return std::make_unique<PythonTrainer>(decoder, mode, settings);
          }),
          py::arg("decoder"), py::arg("mode"), py::arg("micro_tokens"), py::arg("clip"), py::arg("weight_decay"),
          py::arg("beta1") = 0.9, py::arg("beta2") = 0.999, py::arg("epsilon") = 1e-8, py::arg("recompute") = false,
          py::keep_alive<1, 2>(),
          "mode: lora (the attached adapter) or full (every weight). recompute: forward keeps the layers' inputs only, "
          "and backward computes each layer again, to the same bits.")
      .def(
          "step",
          [](PythonTrainer& self, Dataset& dataset, const std::vector<int64_t>& examples, double learning_rate) {
            return self.trainer().step(dataset, examples, learning_rate);
          },
          py::arg("dataset"), py::arg("examples"), py::arg("learning_rate"), Release(), "One update.")
      .def(
          "accumulate",
          [](PythonTrainer& self, Dataset& dataset, const std::vector<int64_t>& examples, double total_weight) {
            return self.trainer().accumulate(dataset, examples, total_weight);
          },
          py::arg("dataset"), py::arg("examples"), py::arg("total_weight"), Release(),
          "The first half of a step of which the examples, maybe none, are a part: their share of its loss and "
          "gradient. total_weight: the summed weight of the whole step.")
      .def(
          "update", [](PythonTrainer& self, double learning_rate) { return self.trainer().update(learning_rate); },
          py::arg("learning_rate"), Release(),
          "The second half: clips the gradients and updates. Gives their norm before clipping.")
      .def_property_readonly(
          "gradient_size", [](PythonTrainer& self) { return self.trainer().optimizer().gradient_size(); },
          "Elements of all gradients together.")
      .def(
          "copy_gradients",
          [](PythonTrainer& self, const at::Tensor& flat) { self.trainer().optimizer().copy_gradients(flat); },
          py::arg("flat"), Release(), "Copies all gradients to flat, an fp32 tensor of gradient_size elements.")
      .def(
          "set_gradients",
          [](PythonTrainer& self, const at::Tensor& flat) { self.trainer().optimizer().set_gradients(flat); },
          py::arg("flat"), Release(), "Copies flat, as copy_gradients fills it, to the gradients.")
      .def("loss", &loss, py::arg("dataset"), py::arg("examples"), Release(),
           "The weighted sum of -log p over the targets, and the summed weight.")
      .def("loss_and_gradients", &loss_and_gradients, py::arg("dataset"), py::arg("examples"), Release(),
           "The mean loss and each parameter's gradient; no update.")
      .def("state", &state, py::arg("copy") = true,
           "Masters, moments and the step, by name. Without copy, the trainer's own memory: the next step changes it.")
      .def(
          "restore", [](PythonTrainer& self, const Tensors& state) { self.trainer().optimizer().restore(state); },
          py::arg("state"), Release(), "Goes on from a state.")
      .def(
          "release", [](PythonTrainer& self) { self.trainer().release(); }, Release(),
          "Frees the memory of forward and backward; a later step allocates it anew.")
      .def("parameters", &masters, "Copies of the fp32 masters by name.")
      .def_property_readonly("step_count", [](PythonTrainer& self) { return self.trainer().optimizer().step_count(); });

  module.def(
      "losses",
      [](PythonDecoder& decoder, const Dataset& dataset, const std::vector<int64_t>& examples, int64_t micro_tokens) {
        DecoderPass pass(decoder.decoder);
        std::vector<std::pair<double, double>> sums;
        for (const LossSum& sum : losses(decoder.decoder, pass, dataset, examples, micro_tokens)) {
          sums.emplace_back(sum.loss, sum.weight);
        }
        return sums;
      },
      py::arg("decoder"), py::arg("dataset"), py::arg("examples"), py::arg("micro_tokens"), Release(),
      "For each example the weighted sum of -log p over its targets, and the summed weight. What several examples "
      "begin "
      "with is computed once.");

  module.def("divide_rows", &divide_rows, py::arg("dataset"), py::arg("examples"), py::arg("parts"), Release(),
             "The examples of a step cut into parts that cost about the same; shared prefixes stay together, and parts "
             "at the end may be empty.");
}

}  // namespace luthier
