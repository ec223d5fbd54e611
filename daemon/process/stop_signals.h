// The signals that end the process, and the time that an end may take.
#pragma once

#include <uv.h>

#include <functional>

namespace kcptun {

/// An end, asked for or not, takes no longer: less than the 10 s after which container managers kill.
constexpr unsigned kEndPatienceSeconds = 8;

/// From here on the process has kEndPatienceSeconds to end by itself; whatever holds it up then, it says so in a line to
/// standard error if that takes one, and exits with 1. Of the process: for the main thread.
void begin_end_deadline();
/// All is over but main's return.
void cancel_end_deadline();

/// SIGINT and SIGTERM: the first begins the deadline in the signal's handler, even where the loop is stuck, and calls
/// `stop` on the loop. When this object is gone, a signal ends the process at once. One at a time.
class StopSignals {
 public:
  StopSignals(uv_loop_t& loop, std::function<void()> stop);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  uv_async_t* async_;
  const std::function<void()> stop_;
};

}  // namespace kcptun
