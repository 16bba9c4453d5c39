#include "luthier/model/convert_tensor.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include <cstring>

#include "luthier/base/error.h"
#include "luthier/formats/gguf_blocks.h"

namespace luthier {

at::Tensor convert_tensor(const TensorView& stored, const std::string& file, const std::vector<int64_t>& shape,
                          at::ScalarType type) {
  if (stored.shape != shape) {
    fail_input(file, ": ", stored.name, " has shape ", shape_text(stored.shape), ", and the configuration says ",
               shape_text(shape));
  }
  if (!can_dequantize(stored.type)) {
    fail_input(file, ": ", stored.name, " is stored as ", dtype_name(stored.type), ", which is not supported");
  }
  at::Tensor out;
  if (stored.type == DType::BF16) {
    out = at::empty(shape, at::kBFloat16);
    std::memcpy(out.data_ptr(), stored.data.data(), stored.data.size());
  } else {
    out = at::empty(shape, at::kFloat);
    dequantize(stored, {out.data_ptr<float>(), static_cast<size_t>(out.numel())});
  }
  if (!out.sum(at::kFloat).isfinite().item<bool>() && !at::isfinite(out).all().item<bool>()) {
    fail_input(file, ": ", stored.name, " holds values that are not finite: the file is damaged");
  }
  return out.to(type);
}

}  // namespace luthier
