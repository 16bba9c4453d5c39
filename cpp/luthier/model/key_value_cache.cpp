#include "luthier/model/key_value_cache.h"

#include <ATen/ops/empty.h>

namespace luthier {

KeyValueCache::KeyValueCache(const Decoder& decoder, int64_t rows) : rows(rows) {
  const DecoderConfig& c = decoder.config;
  for (int64_t i = 0; i < c.layers; ++i) {
    k.push_back(at::empty({rows, c.key_heads, c.head_size}, decoder.type()));
    v.push_back(at::empty({rows, c.key_heads, c.head_size}, decoder.type()));
  }
}

}  // namespace luthier
