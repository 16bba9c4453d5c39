// Passes torch tensors between Python and the core. Lighter than torch's own header, which includes all of torch.
#pragma once

#include <ATen/core/Tensor.h>
#include <pybind11/pybind11.h>
#include <torch/csrc/autograd/python_variable.h>

namespace pybind11::detail {

template <>
struct type_caster<at::Tensor> {
 public:
  PYBIND11_TYPE_CASTER(at::Tensor, const_name("torch.Tensor"));

  bool load(handle source, bool) {
    if (!THPVariable_Check(source.ptr())) return false;
    value = THPVariable_Unpack(source.ptr());
    return true;
  }

  static handle cast(const at::Tensor& tensor, return_value_policy, handle) { return THPVariable_Wrap(tensor); }
};

}  // namespace pybind11::detail
