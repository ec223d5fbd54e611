// Whether the peer has restarted: it has forgotten the session and begins it again.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/serial.h"
#include "core/base/time.h"
#include "core/kcp/segment.h"

namespace kcptun {

/// A restarted peer has una 0 and keeps it, because what it acknowledged before is never sent again.
/// Reordered and replayed packets from the beginning of the session have una 0 too. Such an una regression is
/// therefore only a reason for a challenge, however often it is seen. The proof is an acknowledgement with
/// una 0 of a transmission that left after the first regression, by its time stamp: no earlier packet can
/// contain it. Without an answer nothing is proved.
class PeerRestartDetector {
 public:
  /// Time since the peer's last valid una within which an una regression is taken for reordering and has no
  /// consequence. No path reorders by more in practice; a larger value delays the detection of a restart.
  static constexpr Duration kReorderingAllowance = seconds(2);
  /// The sn of a challenge: below the first segment, so that every peer, a restarted one too, acknowledges it
  /// and ignores it otherwise.
  static constexpr std::uint32_t kChallengeSn = 0xffffffff;

  /// A fresh segment with a valid una arrived.
  void handle_valid_una(TimePoint now) {
    last_valid_una_at_ = now;
    suspected_since_.reset();
    challenge_due_ = false;
  }

  /// A segment with una 0 arrived although the peer has acknowledged more. True if it must be dropped: its
  /// data may belong to another byte stream.
  bool handle_una_regression(TimePoint now, const Segment& segment) {
    if (now - last_valid_una_at_ < kReorderingAllowance) return false;
    if (!suspected_since_) suspected_since_ = now;
    const bool echo = segment.command == KcpCommand::kAck &&
                      !serial_less(segment.ts, wire_ms(*suspected_since_)) &&
                      !serial_less(wire_ms(now), segment.ts);
    proved_ = proved_ || echo;
    challenge_due_ = true;
    return true;
  }

  bool challenge_due() const { return challenge_due_; }
  /// True if a challenge must leave: an empty segment kChallengeSn with the time stamp `now`. At most one in
  /// each `timeout` (the retransmission time-out), and only after another una regression.
  bool poll_challenge(TimePoint now, Duration timeout) {
    if (!challenge_due_ || (challenged_at_ && now - *challenged_at_ < timeout)) return false;
    challenge_due_ = false;
    challenged_at_ = now;
    return true;
  }

  bool proved() const { return proved_; }

 private:
  TimePoint last_valid_una_at_{};
  std::optional<TimePoint> suspected_since_;
  std::optional<TimePoint> challenged_at_;
  bool challenge_due_ = false;
  bool proved_ = false;
};

}  // namespace kcptun
