// Assembles one snapshot from the shares that the engines post.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "daemon/metrics/snapshot.h"
#include "daemon/status/status_server.h"

namespace kcptun {

/// Filled from any thread. The destructor delivers the answer, which is when the last holder releases the
/// collector. An engine that ends before its task runs drops the task, and the answer goes out without its
/// share.
class StatusCollector {
 public:
  /// `begun` holds the process's role and start time, and its tunnels by name, in order.
  StatusCollector(ProcessSnapshot begun, StatusServer::Answer answer);
  ~StatusCollector();
  StatusCollector(const StatusCollector&) = delete;
  StatusCollector& operator=(const StatusCollector&) = delete;

  /// Adds one engine's share of tunnel number `tunnel`. `share` has its own names and counters.
  void add_share(std::size_t tunnel, TunnelSnapshot share);
  void add_loop(const LoopSnapshot& loop);

 private:
  std::mutex mutex_;
  ProcessSnapshot snapshot_;
  const StatusServer::Answer answer_;
};

}  // namespace kcptun
