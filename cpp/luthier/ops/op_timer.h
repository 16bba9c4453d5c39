// Where the time goes, operation by operation: calls, seconds, floating-point operations and bytes, while it is asked
// for.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace luthier {

/// The least that one call of an operation has to do, whatever its implementation really does.
struct OpWork {
  double flops = 0;  // floating-point operations; an exponential, a division or a root is one
  double bytes = 0;  // every operand read once, every result written once
};

/// The sums over the calls of one operation.
struct OpTotals {
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
};

/// Forgets all totals and begins to time. Timing changes no number that an operation computes.
void start_op_timing();

/// Ends timing; the totals stay until the next start.
void stop_op_timing();

/// The totals so far, by name of the operation.
std::map<std::string, OpTotals> op_totals();

/// Tells apart, within a scope and on its thread, calls of one operation: "linear" becomes "linear (low-rank)". The
/// label must outlive the scope; the innermost counts.
class OpLabel {
 public:
  explicit OpLabel(const char* label);
  ~OpLabel();
  OpLabel(const OpLabel&) = delete;
  OpLabel& operator=(const OpLabel&) = delete;

 private:
  const char* outer_;
};

/// Times a scope under the name of an operation; each public operation has one, behind its checks. An operation within
/// another one, or in a parallel region of ATen, belongs to the one around it and is not counted on its own. Operations
/// on several threads of a program are counted each, so that their seconds may add up to more than passed.
class OpTimer {
 public:
  /// `name` outlives the scope; `work()` gives OpWork, and is called only while timing is on.
  template <class Work>
  OpTimer(const char* name, const Work& work) {
    if (on_.load(std::memory_order_relaxed) && outermost()) begin(name, work());
  }
  ~OpTimer() {
    if (name_ != nullptr) end();
  }
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;

 private:
  friend void start_op_timing();
  friend void stop_op_timing();

  static bool outermost();
  void begin(const char* name, const OpWork& work);
  void end();

  static inline std::atomic<bool> on_{false};
  const char* name_ = nullptr;
  OpWork work_;
  std::chrono::steady_clock::time_point begin_;
};

/// The bytes of the tensors' elements; undefined ones have none. Name a tensor twice that is read and written.
template <class... Tensors>
double operand_bytes(const Tensors&... tensors) {
  const auto size = [](const at::Tensor& tensor) {
    return tensor.defined() ? static_cast<double>(tensor.numel()) * static_cast<double>(tensor.element_size()) : 0.0;
  };
  return (size(tensors) + ...);
}

/// The operations of a matrix product [rows, inner] by [inner, columns]: a multiplication and an addition each.
inline double product_flops(int64_t rows, int64_t inner, int64_t columns) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(inner) * static_cast<double>(columns);
}

}  // namespace luthier
