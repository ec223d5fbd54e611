#include "daemon/status/gathering.h"

#include <algorithm>
#include <utility>

#include "daemon/worker/snapshot_taker.h"

namespace kcptun {

StatusCollector::StatusCollector(ProcessSnapshot begun, StatusServer::Answer answer)
    : snapshot_(std::move(begun)), answer_(std::move(answer)) {}

StatusCollector::~StatusCollector() {
  take_process(snapshot_);
  std::ranges::sort(snapshot_.loops, {}, &LoopSnapshot::index);
  answer_(std::move(snapshot_));
}

void StatusCollector::add_share(std::size_t tunnel, TunnelSnapshot share) {
  const std::lock_guard lock(mutex_);
  snapshot_.tunnels[tunnel].add(std::move(share));
}

void StatusCollector::add_loop(const LoopSnapshot& loop) {
  const std::lock_guard lock(mutex_);
  snapshot_.loops.push_back(loop);
}

}  // namespace kcptun
