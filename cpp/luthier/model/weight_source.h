// Where a decoder's weights come from: tensors by the names that Transformers gives them, whatever the file.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "luthier/model/config.h"

namespace luthier {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// The tensor under that name in fp32 or bf16. Throws InputError, naming file and tensor, when it is missing, has
  /// another shape, or a type that cannot be read.
  virtual at::Tensor read(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType type) = 0;
  /// Names of all tensors, as Transformers spells them, where there is such a name.
  virtual std::vector<std::string> names() const = 0;
  virtual const std::string& path() const = 0;
};

/// A decoder's configuration and the source of its weights.
struct OpenedModel {
  DecoderConfig config;
  std::unique_ptr<WeightSource> weights;
};

/// A Transformers folder: config.json and safetensors, one file or shards. Throws InputError for what is missing,
/// contradictory or not supported.
OpenedModel open_transformers_folder(const std::string& folder);

/// A GGUF file; block-quantised weights are dequantised.
OpenedModel open_gguf(const std::string& path);

}  // namespace luthier
