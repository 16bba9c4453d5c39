// What every folder throws. `InputError`: something the user gave is wrong; the message says what,
// where and what to do, and the command line exits with 2. `Error`: anything else.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace luthier {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class InputError : public Error {
 public:
  using Error::Error;
};

/// The parts written one after the other, as an output stream would.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

/// Throws `InputError` with the parts written one after the other.
template <class... Parts>
[[noreturn]] void fail_input(const Parts&... parts) {
  throw InputError(concat(parts...));
}

/// Throws `Error` with the parts written one after the other. The text starts with the operation: "[matmul] ...".
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(concat(parts...));
}

}  // namespace luthier

/// Throws `Error` unless the condition holds; the other arguments make the message, operation first.
#define LUTHIER_CHECK(condition, ...)               \
  do {                                              \
    if (!(condition)) ::luthier::fail(__VA_ARGS__); \
  } while (false)
