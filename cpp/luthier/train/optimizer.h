// AdamW over a list of parameters: moments, clipping, and the state that a checkpoint keeps.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "luthier/model/parameter.h"
#include "luthier/ops/adamw.h"

namespace luthier {

class Optimizer {
 public:
  /// Decay applies to matrices only. clip: the largest global norm of the gradient; 0: none.
  Optimizer(std::vector<Parameter>& parameters, AdamWSettings settings, double clip);

  /// The norm of the whole gradient, in a fixed order; not finite if an element is not.
  double gradient_norm() const;
  /// Clips by the given norm and updates every parameter.
  void step(double learning_rate, double gradient_norm);
  void zero_gradients();

  /// Elements of all gradients together.
  int64_t gradient_size() const;
  /// Copies the gradients, one after the other in the order of the parameters, to flat [gradient_size()], contiguous
  /// fp32; set_gradients copies them back.
  void copy_gradients(const at::Tensor& flat) const;
  void set_gradients(const at::Tensor& flat);

  int64_t step_count() const { return step_; }
  /// Masters and moments by name ("master.X", "first_moment.X", "second_moment.X") and "step", an int64.
  std::map<std::string, at::Tensor> state() const;
  /// Sets all of them and publishes the masters. Throws InputError when a tensor is missing or of another shape.
  void restore(const std::map<std::string, at::Tensor>& state);

 private:
  std::vector<Parameter>& parameters_;
  AdamWSettings settings_;
  double clip_;
  int64_t step_ = 0;
  std::vector<at::Tensor> first_, second_;
};

}  // namespace luthier
