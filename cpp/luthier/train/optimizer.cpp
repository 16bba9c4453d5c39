#include "luthier/train/optimizer.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "luthier/base/error.h"

namespace luthier {
namespace {

void check_flat(const at::Tensor& flat, int64_t size) {
  LUTHIER_CHECK(flat.dim() == 1 && flat.size(0) == size && flat.scalar_type() == at::kFloat && flat.is_contiguous(),
                "[train] the flat gradient has shape ", flat.sizes(), " and type ", flat.scalar_type(), ", not [", size,
                "] contiguous fp32");
}

}  // namespace

Optimizer::Optimizer(std::vector<Parameter>& parameters, AdamWSettings settings, double clip)
    : parameters_(parameters), settings_(settings), clip_(clip) {
  for (const Parameter& parameter : parameters_) {
    first_.push_back(at::zeros_like(parameter.master));
    second_.push_back(at::zeros_like(parameter.master));
  }
}

double Optimizer::gradient_norm() const {
  double sum = 0;
  for (const Parameter& parameter : parameters_) {
    sum += squared_norm(parameter.gradient.contiguous()) * parameter.gradient_scale * parameter.gradient_scale;
  }
  return std::sqrt(sum);
}

void Optimizer::step(double learning_rate, double gradient_norm) {
  // As torch.nn.utils.clip_grad_norm_ does: the small term keeps a zero norm from dividing by zero.
  const double clip = clip_ > 0 ? std::min(1.0, clip_ / (gradient_norm + 1e-6)) : 1.0;
  ++step_;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    AdamWSettings settings = settings_;
    settings.learning_rate = learning_rate;
    if (parameter.master.dim() < 2) settings.weight_decay = 0;
    adamw_step(parameter.master, parameter.gradient.contiguous(), first_[i], second_[i], settings, step_,
               clip * parameter.gradient_scale);
    parameter.publish();
  }
}

void Optimizer::zero_gradients() {
  for (Parameter& parameter : parameters_) parameter.gradient.zero_();
}

int64_t Optimizer::gradient_size() const {
  int64_t size = 0;
  for (const Parameter& parameter : parameters_) size += parameter.gradient.numel();
  return size;
}

void Optimizer::copy_gradients(const at::Tensor& flat) const {
  check_flat(flat, gradient_size());
  int64_t offset = 0;
  for (const Parameter& parameter : parameters_) {
    const int64_t size = parameter.gradient.numel();
    flat.narrow(0, offset, size).view(parameter.gradient.sizes()).copy_(parameter.gradient);
    offset += size;
  }
}

void Optimizer::set_gradients(const at::Tensor& flat) {
  check_flat(flat, gradient_size());
  int64_t offset = 0;
  for (Parameter& parameter : parameters_) {
    const int64_t size = parameter.gradient.numel();
    parameter.gradient.copy_(flat.narrow(0, offset, size).view(parameter.gradient.sizes()));
    offset += size;
  }
}

std::map<std::string, at::Tensor> Optimizer::state() const {
  std::map<std::string, at::Tensor> state{{"step", at::full({}, step_, at::kLong)}};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state["master." + parameters_[i].name] = parameters_[i].master;
    state["first_moment." + parameters_[i].name] = first_[i];
    state["second_moment." + parameters_[i].name] = second_[i];
  }
  return state;
}

void Optimizer::restore(const std::map<std::string, at::Tensor>& state) {
  const auto find = [&](const std::string& name, const at::Tensor& like) {
    const auto found = state.find(name);
    if (found == state.end()) fail_input("the checkpoint lacks ", name);
    if (found->second.sizes() != like.sizes()) {
      fail_input("the checkpoint's ", name, " has shape ", found->second.sizes(), " and not ", like.sizes());
    }
    return found->second;
  };
  const at::Tensor step = find("step", at::full({}, 0, at::kLong));
  for (size_t i = 0; i < parameters_.size(); ++i) {  // all are looked up before one is set
    find("master." + parameters_[i].name, parameters_[i].master);
    find("first_moment." + parameters_[i].name, first_[i]);
    find("second_moment." + parameters_[i].name, second_[i]);
  }
  step_ = step.item<int64_t>();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].master.copy_(state.at("master." + parameters_[i].name));
    first_[i].copy_(state.at("first_moment." + parameters_[i].name));
    second_[i].copy_(state.at("second_moment." + parameters_[i].name));
    parameters_[i].publish();
  }
}

}  // namespace luthier
