// The functions that fill the module, one per folder.
#pragma once

#include <pybind11/pybind11.h>

namespace luthier {

/// Registers the one translation of C++ errors: InputError and Error of luthier.errors.
void bind_errors(pybind11::module_& module);

/// SafetensorsFile, Checkpoint, write_safetensors, GgufFile.
void bind_formats(pybind11::module_& module);

/// SentencePieceModel and PieceType.
void bind_text(pybind11::module_& module);

/// Dataset and Sampler.
void bind_data(pybind11::module_& module);

/// The times of the operations.
void bind_ops(pybind11::module_& module);

/// Decoder.
void bind_model(pybind11::module_& module);

/// Trainer and StepResult, and what steps take.
void bind_train(pybind11::module_& module);

/// generate, TokenTrie, threads and the instruction set.
void bind_generate(pybind11::module_& module);

/// DecodingQueue and DecodedToken.
void bind_decoding_queue(pybind11::module_& module);

}  // namespace luthier
