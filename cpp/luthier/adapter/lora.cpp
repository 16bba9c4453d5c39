#include "luthier/adapter/lora.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "luthier/adapter/token_rows.h"
#include "luthier/base/error.h"
#include "luthier/base/random.h"

namespace luthier {
namespace {

bool is_target(const std::string& name, const std::string& target) {
  return target == "all-linear" || name == target || name.ends_with("." + target);
}

bool is_target(const std::string& name, const std::vector<std::string>& targets) {
  return std::any_of(targets.begin(), targets.end(), [&](const auto& target) { return is_target(name, target); });
}

void check_settings(Decoder& decoder, const LoraSettings& settings) {
  if (settings.rank < 1) fail_input("rank is ", settings.rank, ": it must be at least 1");
  if (!std::isfinite(settings.alpha)) fail_input("alpha is ", settings.alpha, ": it must be a finite number");
  if (settings.targets.empty()) fail_input("targets is empty: name projections, or all-linear");
  for (const std::string& target : settings.targets) {
    bool found = false;
    std::set<std::string> projections;
    for (const PlacedLinear& placed : linear_layers(decoder)) {
      for (const LinearPart& part : placed.layer->parts) {
        found = found || is_target(placed.name_of(part), target);
        projections.insert(part.name);
      }
    }
    if (found) continue;
    std::string known = "all-linear";
    for (const std::string& projection : projections) known += ", " + projection;
    fail_input("targets: no linear layer is called \"", target, "\"; there are ", known);
  }
}

// Room in the layers that are targets, and none in the others.
void make_room(Decoder& decoder, const LoraSettings& settings) {
  for (PlacedLinear& placed : linear_layers(decoder)) {
    std::vector<int64_t> ranks;
    for (const LinearPart& part : placed.layer->parts) {
      ranks.push_back(is_target(placed.name_of(part), settings.targets) ? settings.rank : 0);
    }
    resize_update(*placed.layer, ranks);
  }
}

std::vector<Parameter> list_parameters(Decoder& decoder, const LoraSettings& settings) {
  std::vector<Parameter> parameters;
  for (PlacedLinear& placed : linear_layers(decoder)) {
    LinearLayer& layer = *placed.layer;
    for (const LinearPart& part : layer.parts) {
      if (part.rank() == 0) continue;
      const std::string name = placed.name_of(part);
      parameters.push_back({peft_name(name, 'A'),
                            at::zeros({part.rank(), layer.in}, at::kFloat),
                            {},
                            1,
                            layer.down.narrow(0, part.rank_begin, part.rank()),
                            1});
      parameters.push_back({peft_name(name, 'B'),
                            at::zeros({part.end - part.begin, part.rank()}, at::kFloat),
                            {},
                            settings.scale(),
                            layer.up(part),
                            settings.scale()});
    }
  }
  return parameters;
}

}  // namespace

double LoraSettings::scale() const {
  const double r = static_cast<double>(rank);
  return alpha / (rank_stabilised ? std::sqrt(r) : r);
}

std::string peft_name(const std::string& projection, char matrix) {
  return concat("base_model.model.", projection, ".lora_", matrix, ".weight");
}

std::vector<Parameter> attach_lora(Decoder& decoder, const LoraSettings& settings, uint64_t seed) {
  check_settings(decoder, settings);
  make_room(decoder, settings);
  std::vector<Parameter> parameters = list_parameters(decoder, settings);
  for (size_t i = 0; i < parameters.size(); i += 2) {
    at::Tensor& a = parameters[i].master;
    const double bound = 1 / std::sqrt(static_cast<double>(a.size(1)));
    Random random(seed, 0x4c6f5241u + i);  // a stream of its own for each matrix
    float* value = a.data_ptr<float>();
    for (int64_t j = 0; j < a.numel(); ++j) value[j] = static_cast<float>((2 * random.uniform() - 1) * bound);
  }
  for (const Parameter& parameter : parameters) parameter.publish();
  return parameters;
}

std::vector<Parameter> attach_lora(Decoder& decoder, const LoraSettings& settings,
                                   const std::map<std::string, at::Tensor>& tensors) {
  check_settings(decoder, settings);
  // Everything is compared before the decoder is touched.
  std::string faults;
  int64_t count = 0;
  const auto fault = [&](const std::string& text) {
    if (++count <= 5) faults += (faults.empty() ? "" : "; ") + text;
  };
  std::set<std::string> expected;
  for (PlacedLinear& placed : linear_layers(decoder)) {
    for (const LinearPart& part : placed.layer->parts) {
      const std::string name = placed.name_of(part);
      if (!is_target(name, settings.targets)) continue;
      for (const char matrix : {'A', 'B'}) {
        const std::string tensor = peft_name(name, matrix);
        const std::vector<int64_t> shape = matrix == 'A' ? std::vector<int64_t>{settings.rank, placed.layer->in}
                                                         : std::vector<int64_t>{part.end - part.begin, settings.rank};
        expected.insert(tensor);
        const auto found = tensors.find(tensor);
        if (found == tensors.end()) {
          fault(tensor + " is missing");
        } else if (found->second.sizes() != at::IntArrayRef(shape)) {
          fault(concat(tensor, " has shape ", found->second.sizes(), " and not ", at::IntArrayRef(shape)));
        }
      }
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!expected.contains(name)) fault(name + " belongs to no target layer");
  }
  if (count > 0)
    fail_input("the adapter does not fit the model: ", faults, count > 5 ? concat(" and ", count - 5, " more") : "");

  make_room(decoder, settings);
  std::vector<Parameter> parameters = list_parameters(decoder, settings);
  set_values(parameters, tensors);
  return parameters;
}

void detach_updates(Decoder& decoder) {
  for (PlacedLinear& placed : linear_layers(decoder)) {
    if (placed.layer->spare > 0) resize_update(*placed.layer, std::vector<int64_t>(placed.layer->parts.size(), 0));
    placed.layer->d_down = placed.layer->d_up = at::Tensor();
  }
}

void train_lora(Decoder& decoder, std::vector<Parameter>& parameters, bool train) {
  auto parameter = parameters.begin();
  for (PlacedLinear& placed : linear_layers(decoder)) {
    LinearLayer& layer = *placed.layer;
    const bool on = train && layer.spare > 0;
    layer.d_down = on ? at::zeros({layer.spare, layer.in}, at::kFloat) : at::Tensor();
    layer.d_up = on ? at::zeros({layer.out, layer.spare}, at::kFloat) : at::Tensor();
    for (const LinearPart& part : layer.parts) {
      if (part.rank() == 0) continue;
      parameter++->gradient = on ? layer.d_down.narrow(0, part.rank_begin, part.rank()) : at::Tensor();
      parameter++->gradient =
          on ? layer.d_up.narrow(0, part.begin, part.end - part.begin).narrow(1, part.rank_begin, part.rank())
             : at::Tensor();
    }
  }
}

at::Tensor merged_weight(Decoder& decoder, const std::vector<Parameter>& parameters, const LoraSettings& settings,
                         const std::string& weight) {
  at::Tensor base;
  for (const NamedWeight& named : named_weights(decoder)) {
    if (named.name == weight) base = named.value.to(at::kFloat, false, /*copy=*/true).contiguous();
  }
  if (!base.defined()) fail_input("the model has no weight called ", weight);
  for (const Parameter& parameter : parameters) {
    if (parameter.name != token_rows_name(weight)) continue;
    base.narrow(0, decoder.trained_tokens.first, decoder.trained_tokens.count).copy_(parameter.master);
    return base;
  }
  const std::string projection = weight.ends_with(".weight") ? weight.substr(0, weight.size() - 7) : weight;
  for (size_t i = 0; i + 1 < parameters.size(); i += 2) {
    if (parameters[i].name != peft_name(projection, 'A')) continue;
    return at::addmm(base, parameters[i + 1].master, parameters[i].master, 1, settings.scale());
  }
  return base;
}

}  // namespace luthier
