// Reading the metadata of GGUF files for the families.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "luthier/formats/gguf.h"
#include "luthier/model/config.h"

namespace luthier {

/// The keys of one architecture: "context_length" stands for "llama.context_length". Remembers which were asked for.
class GgufReader {
 public:
  GgufReader(const GgufFile& file, std::string_view architecture) : file(file), architecture_(architecture) {}

  std::string key(std::string_view name) const { return architecture_ + "." + std::string(name); }
  bool has(std::string_view name);
  int64_t integer(std::string_view name);
  int64_t integer(std::string_view name, int64_t otherwise) { return has(name) ? integer(name) : otherwise; }
  double real(std::string_view name);
  double real(std::string_view name, double otherwise) { return has(name) ? real(name) : otherwise; }

  /// Throws InputError that names the key, where one is set that changes what a decoder computes and was not asked for.
  void refuse_unread() const;

  const GgufFile& file;

 private:
  std::string architecture_;
  std::set<std::string, std::less<>> read_;
};

/// What all families' files say alike: sizes, epsilon, biases, tied head, rotary base and scaling. Throws InputError,
/// naming the key, for mixtures of experts and for scalings that are not supported.
DecoderConfig read_common(GgufReader& reader, std::string_view family);

}  // namespace luthier
