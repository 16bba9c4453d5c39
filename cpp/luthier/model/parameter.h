// A tensor that an optimiser updates, and its two sides in the decoder: the gradient and the copy that is read.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "luthier/model/decoder.h"

namespace luthier {

struct Parameter {
  std::string name;           // as it is called in files
  at::Tensor master;          // fp32, contiguous: the value that the optimiser keeps
  at::Tensor gradient;        // fp32, what backward adds to; a view with master's shape
  double gradient_scale = 1;  // the gradient of master is gradient * gradient_scale
  at::Tensor read;            // what the decoder reads: master * read_scale in its own type
  double read_scale = 1;

  /// Writes the master's value to where the decoder reads it.
  void publish() const;
};

/// Gives every parameter the value under its name, which must be there and have its shape, and publishes it.
void set_values(const std::vector<Parameter>& parameters, const std::map<std::string, at::Tensor>& values);

/// Every weight of the decoder as a parameter, for full fine-tuning; call train_all_weights(decoder, true) before. In
/// fp32 a master shares its memory with the weight where that is contiguous.
std::vector<Parameter> weight_parameters(Decoder& decoder);

}  // namespace luthier
