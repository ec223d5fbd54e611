// One end of one session under a suite with a session header: numbers and time-stamps its packets, and takes
// each packet of the peer once (docs/develop/protocol.md section 11).
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/crypt/session_header.h"
#include "core/link/replay_window.h"

namespace kcptun {

/// Knows no keys: the suite has authenticated what it reads, and will seal what it writes.
class AntiReplay {
 public:
  struct Counters {
    std::uint64_t replayed = 0;  // seen before, or too old to tell
    std::uint64_t foreign = 0;   // of another session, or our own reflected
  };

  /// `wall` is the time of day at `now`. Time stamps advance from there with the steady clock, so that
  /// setting the clock while the session lives makes no packet that is valid in the future.
  AntiReplay(Role role, std::uint64_t session, TimePoint now, UnixTime wall)
      : role_(role), session_(session), began_(now), wall_(wall) {}

  std::uint64_t session() const { return session_; }

  /// Numbers the next packet.
  SessionHeader next(TimePoint now);
  /// Writes next(). REQUIRES: kSessionHeader bytes at `to`.
  void stamp(TimePoint now, std::uint8_t* to) { write_session_header(to, next(now)); }

  /// A packet of the peer in this session that was never seen.
  bool fresh(const SessionHeader& header) const {
    return is_from_peer(header) && window_.fresh(header.counter);
  }
  /// No packet that the peer sent later has come before it.
  bool newest(const SessionHeader& header) const { return window_.newest(header.counter); }
  /// The body of an opened packet if it is fresh; then it counts as seen. Otherwise empty, and counted.
  MutableBytes take(MutableBytes packet);
  /// The same in two steps, for a suite that opens a packet in between: fresh() that counts, then the
  /// packet counts as seen. REQUIRES: of mark(), fresh(header).
  bool admit(const SessionHeader& header);
  void mark(const SessionHeader& header);

  /// Packets that the peer has sent, by the newest number of a packet taken.
  std::uint64_t packets_sent_by_peer() const { return window_.end(); }
  /// The latest time stamp of all packets taken.
  std::uint32_t newest_time() const { return newest_time_; }
  const Counters& counters() const { return counters_; }

 private:
  bool is_from_peer(const SessionHeader& header) const {
    return header.session == session_ && header.from != role_;
  }

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
