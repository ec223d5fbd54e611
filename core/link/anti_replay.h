// One end of one session under a suite that knows sessions: numbers and dates what it sends, and takes each
// packet of the peer once (docs/develop/protocol.md section 11).
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/crypt/session_header.h"
#include "core/link/replay_window.h"

namespace kcptun {

/// Knows nothing of keys: what it sees has been authenticated by the suite, what it writes will be sealed.
class AntiReplay {
 public:
  struct Counters {
    std::uint64_t replayed = 0;  // there before, or too old to tell
    std::uint64_t foreign = 0;   // of another session, or our own come back
  };

  /// `wall` is the time of day at `now`; the packets' dates go on from there by the steady clock, so that a
  /// clock that is set while the session lives makes no packet that is valid in the future.
  AntiReplay(Role role, std::uint64_t session, TimePoint now, UnixTime wall)
      : role_(role), session_(session), began_(now), wall_(wall) {}

  std::uint64_t session() const { return session_; }

  /// Writes the next packet's header. REQUIRES: kSessionHeader bytes at `to`.
  void stamp(TimePoint now, std::uint8_t* to);

  /// The peer's next packet of this session, never seen.
  bool fresh(const SessionHeader& header) const { return ours(header) && window_.fresh(header.counter); }
  /// No later packet of the peer has come before it.
  bool newest(const SessionHeader& header) const { return window_.newest(header.counter); }
  /// The body of an opened packet that is fresh, which is then no longer so; else empty, and counted.
  MutableBytes take(MutableBytes packet);

  /// By the newest number that a packet taken had.
  std::uint64_t packets_sent_by_peer() const { return window_.end(); }
  /// The latest date that a packet taken had.
  std::uint32_t newest_time() const { return newest_time_; }
  const Counters& counters() const { return counters_; }

 private:
  bool ours(const SessionHeader& header) const { return header.session == session_ && header.from != role_; }

  const Role role_;
  const std::uint64_t session_;
  const TimePoint began_;
  const UnixTime wall_;
  std::uint64_t next_ = 0;
  std::uint32_t newest_time_ = 0;
  ReplayWindow window_;
  Counters counters_;
};

}  // namespace kcptun
