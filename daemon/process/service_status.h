// The status line that the service manager shows: the peer's state, sessions, streams and goodput (STATUS= of
// sd_notify(3)).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/settings.h"
#include "daemon/io/uv_handles.h"
#include "daemon/process/service_notifier.h"
#include "daemon/tunnel/tunnel.h"

namespace kcptun {

/// "2 sessions, 14 streams, 3.1 MB/s up, 10 MB/s down". Rates are in bytes per second; up is towards the
/// target.
std::string status_text(std::uint64_t sessions, std::size_t streams, double up, double down);

/// Sends the line every kPeriodMs if the text has changed. Runs on the process's first loop.
class ServiceStatus {
 public:
  static constexpr std::uint64_t kPeriodMs = 2000;
  using Take = std::function<void(const TunnelTotals&)>;
  /// Calls its argument with the sums of all tunnels, or drops it.
  using Collect = std::function<void(Take)>;

  /// `service` outlives this object.
  ServiceStatus(uv_loop_t& loop, ServiceNotifier& service, Role role, Collect collect);

 private:
  void handle_due();
  void tell(const TunnelTotals& totals);

  uv_loop_t& loop_;
  ServiceNotifier& service_;
  const Role role_;
  const Collect collect_;
  std::uint64_t at_ms_;  // at the previous totals
  Counters last_totals_;
  std::string last_sent_;
  // Detects totals that arrive after destruction.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  TimerHandle timer_;
};

}  // namespace kcptun
