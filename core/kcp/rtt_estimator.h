// Round-trip time and retransmission time-out (RFC 6298, with KCP's floors and ceiling).
#pragma once

#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// Samples must come from transmissions that are known to be the acknowledged ones (Karn's algorithm, RFC
/// 6298 section 3).
class RttEstimator {
 public:
  /// `floor`: lowest time-out (docs/develop/protocol.md section 5: 100 ms, 30 ms with nodelay);
  /// `granularity`: the interval.
  RttEstimator(Duration floor, Duration granularity) : floor_(floor), granularity_(granularity) {}

  void add_sample(TimePoint now, Duration rtt);
  /// From the next sample on.
  void update_settings(Duration floor, Duration granularity) {
    floor_ = floor;
    granularity_ = granularity;
  }

  /// Retransmission time-out: 200 ms before the first sample, 60 s at most.
  Duration timeout() const { return timeout_; }
  /// Smoothed RTT; none before the first sample.
  std::optional<Duration> smoothed() const { return smoothed_; }
  Duration variation() const { return variation_; }
  /// The smallest RTT of the last kMinimumAge to twice kMinimumAge; none before the first sample.
  std::optional<Duration> minimum() const { return minimum_; }

  /// How long a minimum is kept at least. A path that becomes longer is known as such within twice this time;
  /// half of BBR's 10 s window (draft-ietf-ccwg-bbr, MinRTTFilterLen). A shorter one takes a queue that lasts
  /// for the path.
  static constexpr Duration kMinimumAge = seconds(5);

 private:
  static constexpr Duration kInitialTimeout = milliseconds(200);
  static constexpr Duration kMaxTimeout = seconds(60);

  Duration floor_;
  Duration granularity_;
  Duration timeout_ = kInitialTimeout;
  Duration variation_{0};
  std::optional<Duration> smoothed_;
  std::optional<Duration> minimum_;
  Duration epoch_minimum_{0};  // since epoch_at_
  TimePoint epoch_at_{};
};

}  // namespace kcptun
