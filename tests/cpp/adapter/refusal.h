// What a refused input is told.
#pragma once

#include <functional>
#include <string>

#include "luthier/base/error.h"

namespace luthier::testing {

/// The message of the InputError that the action throws; empty where it throws none.
inline std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace luthier::testing
