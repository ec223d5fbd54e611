// One snapshot, put together from what the loops post.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "daemon/metrics/snapshot.h"
#include "daemon/status/status_server.h"

namespace kcptun {

/// Filled from any thread. Answers when the last one lets go of it: a loop that ends before its turn drops
/// its task, and the others' shares go out without it.
class StatusCollector {
 public:
  /// `begun`: the process's role and start, and its tunnels by name, in order.
  StatusCollector(ProcessSnapshot begun, StatusServer::Answer answer);
  ~StatusCollector();
  StatusCollector(const StatusCollector&) = delete;
  StatusCollector& operator=(const StatusCollector&) = delete;

  /// One loop's share of tunnel number `tunnel`; `share` has names and counters of its own.
  void add_share(std::size_t tunnel, TunnelSnapshot share);
  void add_loop(const LoopSnapshot& loop);

 private:
  std::mutex mutex_;
  ProcessSnapshot snapshot_;
  const StatusServer::Answer answer_;
};

}  // namespace kcptun
