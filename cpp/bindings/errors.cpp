#include "bind.h"
#include "luthier/base/error.h"

namespace luthier {

void bind_errors(pybind11::module_& module) {
  namespace py = pybind11;
  // The most special class is registered last: pybind11 asks the translators in reverse order.
  auto& error = py::register_exception<Error>(module, "Error", PyExc_RuntimeError);
  py::register_exception<InputError>(module, "InputError", error.ptr());
}

}  // namespace luthier
