// Writes a tunnel's counters to its snmplog every snmpperiod.
#pragma once

#include <cstdint>
#include <functional>

#include "core/base/time.h"
#include "daemon/io/uv_handles.h"
#include "daemon/metrics/counter_log.h"
#include "daemon/tunnel/tunnel.h"

namespace kcptun {

/// Runs on the process's first loop. Rows stay on the period's grid, however long a write takes; missed rows
/// are skipped. A write failure is logged once, and so is the recovery.
class CounterWriter {
 public:
  /// Null if the tunnel's profile has no snmplog. `tunnel` outlives the writer.
  static std::unique_ptr<CounterWriter> make(uv_loop_t& loop, Tunnel& tunnel);
  CounterWriter(uv_loop_t& loop, Tunnel& tunnel);

 private:
  void handle_due();
  void arm();
  void append(const Counters& counters);

  Tunnel& tunnel_;
  const CounterLog log_;
  const std::uint64_t period_ms_;
  std::uint64_t due_ms_;
  bool failing_ = false;  // the failure has been logged
  uv_loop_t& loop_;
  TimerHandle timer_;
};

}  // namespace kcptun
