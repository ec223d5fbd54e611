// A receive window that follows the path.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// Counts the segments that arrive in a round trip and proposes a window of kRoundTrips times as many, so
/// that the peer can continue to send while lost segments, and lost retransmissions, are repaired. Never
/// shrinks the window. The minimum RTT counts: one that contains a queue would make the queue longer.
class ReceiveWindowTuner {
 public:
  /// Round trips' worth of segments. One is in flight, one waits for a repair, one for the repair of a lost
  /// retransmission, and one lets the rate double. Smaller values stall bulk transfers at losses, larger ones
  /// only take memory.
  static constexpr std::uint64_t kRoundTrips = 4;
  /// The RTT of a side that has no samples because it sends nothing. It is longer than most paths', so that
  /// the window errs on the large side.
  static constexpr Duration kAssumedRtt = milliseconds(100);
  /// The shortest measurement. In less time, one batch of packets (GRO) is all that arrives.
  static constexpr Duration kMinMeasurement = milliseconds(1);

  /// `max`: segments, the largest window that is proposed. Below the window in force: it stays as it is.
  explicit ReceiveWindowTuner(std::uint32_t max) : max_(max) {}

  void set_max(std::uint32_t max) { max_ = max; }
  /// A new segment arrived.
  void add_arrival() { ++arrivals_; }
  /// A batch of packets was handled. Returns the window in segments if it must grow from `window`.
  std::optional<std::uint32_t> end_batch(TimePoint now, std::uint32_t window,
                                         std::optional<Duration> min_rtt) {
    if (window >= max_) return std::nullopt;
    const Duration round_trip = std::max<Duration>(min_rtt.value_or(kAssumedRtt), kMinMeasurement);
    const Duration elapsed = now - since_;
    if (elapsed < round_trip) return std::nullopt;
    const std::uint64_t wanted = static_cast<std::uint64_t>(arrivals_) * kRoundTrips *
                                 static_cast<std::uint64_t>(round_trip.count()) /
                                 static_cast<std::uint64_t>(elapsed.count());
    arrivals_ = 0;
    since_ = now;
    if (wanted <= window) return std::nullopt;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, max_));
  }

 private:
  std::uint32_t max_;
  std::uint32_t arrivals_ = 0;  // since since_
  TimePoint since_{};
};

}  // namespace kcptun
