// The signals that stop the process, and the time limit of a stop.
#pragma once

#include <uv.h>

#include <functional>

namespace kcptun {

/// Maximum duration of a stop, whatever caused it. Less than the 10 s after which container managers kill.
constexpr unsigned kStopTimeoutSeconds = 8;

/// Starts the deadline. If the process is still running after kStopTimeoutSeconds, it writes a line to
/// standard error if that does not block, and exits with 1. Process-wide; call it on the main thread.
void start_stop_deadline();
/// Cancels the deadline. Call it when nothing but main's return is left.
void cancel_stop_deadline();

/// Until StopSignals takes over, SIGINT and SIGTERM end the process with 0 at once: it serves nothing yet.
void stop_at_once();

/// SIGINT and SIGTERM. The first one starts the deadline in the signal handler, even if the loop is blocked,
/// and calls `stop` on the loop. After this object is destroyed, a signal ends the process immediately. At
/// most one object exists at a time.
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
