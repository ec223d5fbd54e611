// How long a peer has not answered, and when to ping it.
#pragma once

#include <algorithm>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// Fed with what leaves and arrives, it decides when a ping is due (a live peer answers WASK within one of
/// its intervals, docs/develop/protocol.md section 5), and whether the peer is suspected to be dead. The
/// peer's next packet ends the suspicion.
class LivenessMonitor {
 public:
  /// A peer that has not answered for so long is pinged, and again at this interval.
  static constexpr Duration kPingAfter = milliseconds(500);
  /// After so long a silence, a ping goes with the first packet that leaves: the peer may have restarted.
  static constexpr Duration kLongSilence = seconds(3);
  /// A peer that has not answered for so long is suspected.
  static constexpr Duration kSuspectDeadAfter = seconds(3);
  /// On a long path an answer may take the round trip and this, which allows for the loss of several pings.
  static constexpr Duration kSuspicionMargin = seconds(2);

  explicit LivenessMonitor(TimePoint now) : heard_at_(now) {}

  /// A valid segment of the peer arrived.
  void handle_arrival(TimePoint now) {
    heard_at_ = now;
    heard_ = true;
    if (!unanswered_since_) return;
    unanswered_since_ = now;
    ping_at_ = now + kPingAfter;
  }
  /// `owed`: the peer owes an answer now.
  void handle_state(TimePoint now, bool owed) {
    if (!owed) return unanswered_since_.reset();
    if (unanswered_since_) return;
    unanswered_since_ = now;
    ping_at_ = std::max(ping_at_, now + kPingAfter);
  }
  /// True if a ping is to leave now; it counts as sent. `departing`: a packet that will be answered leaves
  /// anyway.
  bool poll_ping(TimePoint now, bool departing) {
    const bool due =
        unanswered_since_ ? now >= ping_at_ : heard_ && departing && now - heard_at_ >= kLongSilence;
    if (due) ping_at_ = now + kPingAfter;
    return due;
  }
  std::optional<TimePoint> next_timeout() const {
    return unanswered_since_ ? std::optional(ping_at_) : std::nullopt;
  }

  std::optional<TimePoint> unanswered_since() const { return unanswered_since_; }
  bool suspected_dead(TimePoint now, Duration round_trip) const {
    return unanswered_since_ &&
           now - *unanswered_since_ >= std::max<Duration>(kSuspectDeadAfter, round_trip + kSuspicionMargin);
  }

 private:
  TimePoint heard_at_;
  bool heard_ = false;  // ever
  std::optional<TimePoint> unanswered_since_;
  TimePoint ping_at_{};  // while owed: when the next ping is due; else not before
};

}  // namespace kcptun
