#include <pybind11/stl.h>

#include "bind.h"
#include "luthier/ops/op_timer.h"

namespace luthier {

void bind_ops(pybind11::module_& module) {
  namespace py = pybind11;
  py::class_<OpTotals>(module, "OpTotals", "The sums over the calls of one operation while it was timed.")
      .def_readonly("calls", &OpTotals::calls)
      .def_readonly("seconds", &OpTotals::seconds)
      .def_readonly("flops", &OpTotals::flops, "Floating-point operations that the results need.")
      .def_readonly("bytes", &OpTotals::bytes, "Of operands and results, each read or written once.");
  module.def("start_op_timing", &start_op_timing, "Forgets all totals and begins to time every operation.");
  module.def("stop_op_timing", &stop_op_timing, "Ends timing; the totals stay until the next start.");
  module.def("op_totals", &op_totals, "The totals so far, by name of the operation.");
}

}  // namespace luthier
