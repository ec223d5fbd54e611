// The server's one memory of sessions, for all its loops: a recording may come to any of them.
#pragma once

#include <mutex>

#include "core/link/replay_cache.h"
#include "daemon/system/clock.h"

namespace kcptun {

/// Asked when a session opens, ends, or a packet of none comes: seldom enough for a lock.
class SharedReplayCache final : public SessionAdmission {
 public:
  /// The server starts now.
  SharedReplayCache() : gate_(read_clock()) {}

  SessionRefusal open(TimePoint now, UnixTime wall, const SessionClaim& claim) override {
    const std::scoped_lock lock(mutex_);
    return gate_.open(now, wall, claim);
  }
  std::optional<std::uint32_t> owner(std::uint64_t session) const override {
    const std::scoped_lock lock(mutex_);
    return gate_.owner(session);
  }
  void end(TimePoint now, std::uint64_t session, std::uint32_t newest) override {
    const std::scoped_lock lock(mutex_);
    gate_.end(now, session, newest);
  }

 private:
  mutable std::mutex mutex_;
  ReplayCache gate_;
};

}  // namespace kcptun
