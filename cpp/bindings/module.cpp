// luthier._core: the C++ core as a Python module. One bind_<folder> function per folder of cpp/luthier.
#include <pybind11/pybind11.h>

#include "bind.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The C++ core of Luthier. Use the package `luthier`; this module's names may change.";
  // Tensors can only be handed to Python once torch has set up their class.
  pybind11::module_::import("torch");
  luthier::bind_errors(module);
  luthier::bind_formats(module);
  luthier::bind_text(module);
  luthier::bind_data(module);
  luthier::bind_ops(module);
  luthier::bind_model(module);
  luthier::bind_train(module);
  luthier::bind_generate(module);
  luthier::bind_decoding_queue(module);
}
