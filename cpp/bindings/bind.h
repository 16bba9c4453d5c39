// The functions that fill the module, one per folder.
#pragma once

#include <pybind11/pybind11.h>

namespace luthier {

/// Registers the one translation of C++ errors: InputError and Error of luthier.errors.
void bind_errors(pybind11::module_& module);

/// SafetensorsFile, Checkpoint, write_safetensors, GgufFile.
void bind_formats(pybind11::module_& module);

}  // namespace luthier
