// A decoder as Python holds it: the weights, and the adapter that is attached.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "luthier/adapter/lora.h"
#include "luthier/adapter/token_rows.h"
#include "luthier/model/decoder.h"

namespace luthier {

struct PythonDecoder {
  Decoder decoder;
  std::optional<LoraSettings> lora;
  std::vector<Parameter> updates;  // of the adapter, rows of added tokens behind the others; empty without one
  std::vector<std::pair<at::Tensor, at::Tensor>> rows_before;  // those rows, and what they held before
  int64_t generation = 0;  // grows when an adapter is attached or detached, which makes a trainer stale
};

}  // namespace luthier
