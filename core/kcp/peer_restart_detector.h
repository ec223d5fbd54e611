// Whether the peer is in another life: it has forgotten the conversation, and began it anew.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/serial.h"
#include "core/base/time.h"
#include "core/kcp/segment.h"

namespace kcptun {

/// A restarted peer knows of nothing that we sent: its una is 0 for good, because what it has acknowledged before is
/// never sent again. Packets of its former life say so too, and nothing keeps them from arriving late, or from being
/// played again by whoever recorded them: they make this suspicious, which costs the caller a question, and prove
/// nothing, however many and however old. The proof is an acknowledgement with una 0 of a copy that left after the
/// suspicion arose, by its time stamp: no packet of before can name that. Who keeps the peer's answers away has won
/// nothing either, as none of them is the proof.
class PeerRestartDetector {
 public:
  /// How long after the peer's last good una a forgetful segment may still be reordered, and harmless.
  static constexpr Duration kReorderingAllowance = seconds(2);
  /// What a question is about: a segment before the first one. Every peer acknowledges it, a restarted one too, and
  /// ignores it else.
  static constexpr std::uint32_t kChallengeSn = 0xffffffff;

  /// A segment told of no less than what the peer has said before.
  void handle_valid_una(TimePoint now) {
    last_valid_una_at_ = now;
    suspected_since_.reset();
    challenge_due_ = false;
  }

  /// A segment arrived that knows of nothing. True if it must be dropped: what it carries may belong to another stream
  /// of bytes, which must not enter this one.
  bool handle_una_regression(TimePoint now, const Segment& segment) {
    if (now - last_valid_una_at_ < kReorderingAllowance) return false;
    if (!suspected_since_) suspected_since_ = now;
    const bool echo = segment.command == KcpCommand::kAck && !serial_less(segment.ts, wire_ms(*suspected_since_)) &&
                      !serial_less(wire_ms(now), segment.ts);
    proved_ = proved_ || echo;
    challenge_due_ = true;
    return true;
  }

  bool challenge_due() const { return challenge_due_; }
  /// True if a question is due: a copy of kChallengeSn with the time stamp `now`. One each `timeout`, that of a
  /// retransmission, and only if a forgetful segment arrived since the last.
  bool poll_challenge(TimePoint now, Duration timeout) {
    if (!challenge_due_ || (asked_at_ && now - *asked_at_ < timeout)) return false;
    challenge_due_ = false;
    asked_at_ = now;
    return true;
  }

  bool proved() const { return proved_; }

 private:
  TimePoint last_valid_una_at_{};
  std::optional<TimePoint> suspected_since_;
  std::optional<TimePoint> asked_at_;
  bool challenge_due_ = false;
  bool proved_ = false;
};

}  // namespace kcptun
