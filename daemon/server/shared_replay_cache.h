// The server's replay cache. All workers share it, because a replayed packet may arrive at any of them.
#pragma once

#include <mutex>

#include "core/link/replay_cache.h"
#include "daemon/system/clock.h"

namespace kcptun {

/// Locked on each call. Calls are rare: a session opens or ends, or a packet matches no session.
class SharedReplayCache final : public SessionAdmission {
 public:
  /// The time of construction is the server's start.
  SharedReplayCache() : gate_(read_clock()) {}

  SessionRefusal open(TimePoint now, UnixTime wall, const SessionClaim& claim) override {
    const std::scoped_lock lock(mutex_);
    return gate_.open(now, wall, claim);
  }
  SessionRefusal check(TimePoint now, UnixTime wall, const SessionClaim& claim) override {
    const std::scoped_lock lock(mutex_);
    return gate_.check(now, wall, claim);
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
