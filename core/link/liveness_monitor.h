// How long a peer has owed an answer, and when to ask it for one.
#pragma once

#include <algorithm>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// Told what leaves and arrives; says when a ping is due (a live peer answers WASK within one of its
/// intervals, docs/develop/protocol.md section 5), and whether the peer is suspected to be gone. A suspicion is no
/// verdict: it ends with the next word from the peer.
class LivenessMonitor {
 public:
  /// An answer that is owed for so long is asked for, and again at this interval.
  static constexpr Duration kPingAfter = milliseconds(500);
  /// What leaves after so long a silence asks at once: nobody knows whether the peer is still the one it was.
  static constexpr Duration kLongSilence = seconds(3);
  /// An answer that is owed for so long makes the peer suspect.
  static constexpr Duration kSuspectDeadAfter = seconds(3);
  /// On a long path it may take the round trip and this: room for the loss of several pings.
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
  /// The peer owes an answer now, or it doesn't.
  void handle_state(TimePoint now, bool owed) {
    if (!owed) return unanswered_since_.reset();
    if (unanswered_since_) return;
    unanswered_since_ = now;
    ping_at_ = std::max(ping_at_, now + kPingAfter);
  }
  /// True if a ping is to leave now; it counts as sent. `departing`: something that will be answered leaves
  /// anyhow.
  bool poll_ping(TimePoint now, bool departing) {
    const bool due = unanswered_since_ ? now >= ping_at_ : heard_ && departing && now - heard_at_ >= kLongSilence;
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
