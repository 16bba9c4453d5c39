#include "bind.h"
#include "luthier/base/error.h"

namespace luthier {

void bind_errors(pybind11::module_& module) {
  namespace py = pybind11;
  // The core raises the package's own classes, so that a user catches one InputError wherever it comes from.
  const py::module_ errors = py::module_::import("luthier.errors");
  module.attr("Error") = errors.attr("LuthierError");
  module.attr("InputError") = errors.attr("InputError");
  static const py::handle error = py::object(errors.attr("LuthierError")).release();
  static const py::handle input_error = py::object(errors.attr("InputError")).release();
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const InputError& caught) {
      py::set_error(input_error, caught.what());
    } catch (const Error& caught) {
      py::set_error(error, caught.what());
    }
  });
}

}  // namespace luthier
