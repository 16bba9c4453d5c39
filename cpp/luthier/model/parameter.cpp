#include "luthier/model/parameter.h"

namespace luthier {

void Parameter::publish() const {
  if (read.is_same(master)) return;
  at::Tensor target = read;
  if (read_scale == 1) {
    target.copy_(master);
  } else {
    target.copy_(master.mul(read_scale));
  }
}

void set_values(const std::vector<Parameter>& parameters, const std::map<std::string, at::Tensor>& values) {
  for (const Parameter& parameter : parameters) {
    at::Tensor master = parameter.master;
    master.copy_(values.at(parameter.name));
    parameter.publish();
  }
}

std::vector<Parameter> weight_parameters(Decoder& decoder) {
  std::vector<Parameter> parameters;
  for (NamedWeight& weight : named_weights(decoder)) {
    Parameter parameter{weight.name, weight.value, weight.gradient, 1, weight.value, 1};
    if (weight.value.scalar_type() != at::kFloat || !weight.value.is_contiguous()) {
      parameter.master = weight.value.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
    }
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

}  // namespace luthier
