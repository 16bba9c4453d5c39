#include "luthier/ops/op_timer.h"

#include <ATen/Parallel.h>

#include <mutex>

namespace luthier {
namespace {

using Clock = std::chrono::steady_clock;

struct Record {
  std::mutex mutex;
  std::map<std::string, OpTotals> totals;
};

Record& record() {
  static Record shared;
  return shared;
}

thread_local const char* label = nullptr;
thread_local bool inside = false;  // of an operation that is being timed

}  // namespace

void start_op_timing() {
  Record& shared = record();
  {
    const std::lock_guard lock(shared.mutex);
    shared.totals.clear();
  }
  OpTimer::on_.store(true, std::memory_order_relaxed);
}

void stop_op_timing() { OpTimer::on_.store(false, std::memory_order_relaxed); }

std::map<std::string, OpTotals> op_totals() {
  Record& shared = record();
  const std::lock_guard lock(shared.mutex);
  return shared.totals;
}

OpLabel::OpLabel(const char* name) : outer_(label) { label = name; }

OpLabel::~OpLabel() { label = outer_; }

bool OpTimer::outermost() { return !inside && !at::in_parallel_region(); }

void OpTimer::begin(const char* name, const OpWork& work) {
  inside = true;
  name_ = name;
  work_ = work;
  begin_ = Clock::now();
}

void OpTimer::end() {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  inside = false;
  std::string name = name_;
  if (label != nullptr) name.append(" (").append(label).append(")");
  Record& shared = record();
  const std::lock_guard lock(shared.mutex);
  OpTotals& totals = shared.totals[name];
  ++totals.calls;
  totals.seconds += seconds;
  totals.flops += work_.flops;
  totals.bytes += work_.bytes;
}

}  // namespace luthier
