// Passes torch tensors between Python and the core: torch's own type caster, without all of torch/extension.h.
#pragma once

#include <torch/csrc/utils/pybind.h>
