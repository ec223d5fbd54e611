// How long a peer has owed an answer, and when to ask it for one.
#pragma once

#include <algorithm>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// Told what leaves and arrives; says when a ping is due (a live peer answers WASK within one of its
/// intervals, docs/protocol.md section 5), and whether the peer is suspected to be gone. A suspicion is no
/// verdict: it ends with the next word from the peer.
class SilenceWatch {
 public:
  /// An answer that is owed for so long is asked for, and again at this interval.
  static constexpr Duration kAskAfter = milliseconds(500);
  /// What leaves after so long a silence asks at once: nobody knows whether the peer is still the one it was.
  static constexpr Duration kLongSilence = seconds(3);
  /// An answer that is owed for so long makes the peer suspect.
  static constexpr Duration kSuspectAfter = seconds(3);
  /// On a long path it may take the round trip and this: room for the loss of several pings.
  static constexpr Duration kBeyondRoundTrip = seconds(2);

  explicit SilenceWatch(TimePoint now) : heard_at_(now) {}

  /// A valid segment of the peer arrived.
  void handle_arrival(TimePoint now) {
    heard_at_ = now;
    heard_ = true;
    if (!owed_since_) return;
    owed_since_ = now;
    ask_at_ = now + kAskAfter;
  }
  /// The peer owes an answer now, or it doesn't.
  void handle_state(TimePoint now, bool owed) {
    if (!owed) return owed_since_.reset();
    if (owed_since_) return;
    owed_since_ = now;
    ask_at_ = std::max(ask_at_, now + kAskAfter);
  }
  /// True if a ping is to leave now; it counts as sent. `departing`: something that will be answered leaves
  /// anyhow.
  bool poll_ask(TimePoint now, bool departing) {
    const bool due = owed_since_ ? now >= ask_at_ : heard_ && departing && now - heard_at_ >= kLongSilence;
    if (due) ask_at_ = now + kAskAfter;
    return due;
  }
  std::optional<TimePoint> next_timeout() const {
    return owed_since_ ? std::optional(ask_at_) : std::nullopt;
  }

  std::optional<TimePoint> owed_since() const { return owed_since_; }
  bool suspect(TimePoint now, Duration round_trip) const {
    return owed_since_ &&
           now - *owed_since_ >= std::max<Duration>(kSuspectAfter, round_trip + kBeyondRoundTrip);
  }

 private:
  TimePoint heard_at_;
  bool heard_ = false;  // ever
  std::optional<TimePoint> owed_since_;
  TimePoint ask_at_{};  // while owed: when the next ping is due; else not before
};

}  // namespace kcptun
