// Whether the peer is at the address from which its last packets came (RFC 9000 sections 8.2 and 9.3).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "core/base/serial.h"
#include "core/base/time.h"

namespace kcptun {

/// An attacker can forward a packet from another address than its sender's. So after a move, no more than
/// kAmplification times the bytes that came from the new address go there until it is validated: an
/// acknowledgement echoes the time stamp of a packet that left for it, in a later millisecond than the move.
/// An echo request asks for that acknowledgement at once and after each time-out.
class PathValidation {
 public:
  static constexpr std::uint64_t kAmplification = 3;  // RFC 9000 section 8

  bool pending() const { return since_.has_value(); }
  /// What leaves from `now` on goes to an address that has not answered.
  void begin(TimePoint now) {
    since_ = now;
    ping_at_ = now + milliseconds(1);
    allowance_ = 0;
  }
  void end() { since_.reset(); }
  /// Bytes came from the address.
  void handle_received(std::size_t bytes) {
    if (pending()) allowance_ += kAmplification * bytes;
  }
  /// True if the peer's echo of one of our time stamps proves that it is there.
  bool is_answer(std::uint32_t ts) const { return pending() && serial_less(wire_ms(*since_), ts); }

  /// Bytes that may leave now.
  std::size_t allowance() const {
    constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
    return pending() ? static_cast<std::size_t>(std::min<std::uint64_t>(allowance_, kUnlimited)) : kUnlimited;
  }
  void charge(std::size_t bytes) {
    if (pending()) allowance_ -= std::min<std::uint64_t>(allowance_, bytes);
  }
  /// True if an echo request of `bytes` is due; it counts as sent.
  bool poll_ping(TimePoint now, Duration timeout, std::size_t bytes) {
    if (!pending() || now < ping_at_ || bytes > allowance_) return false;
    ping_at_ = now + timeout;
    return true;
  }
  std::optional<TimePoint> next_timeout(std::size_t bytes) const {
    return pending() && bytes <= allowance_ ? std::optional(ping_at_) : std::nullopt;
  }

 private:
  std::optional<TimePoint> since_;
  TimePoint ping_at_{};
  std::uint64_t allowance_ = 0;
};

}  // namespace kcptun
