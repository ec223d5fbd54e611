// The rate at which the path delivers: one sample for each batch of acknowledgements (draft-ietf-ccwg-bbr,
// "Delivery Rate Samples"; first in draft-cheng-iccrg-delivery-rate-estimation-02).
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// What was known when a segment was transmitted. Kept beside the segment until it is acknowledged.
struct SentPacketState {
  std::uint64_t delivered = 0;  // bytes acknowledged by then, since the session began
  TimePoint delivered_at{};     // when the last of them were
  TimePoint first_sent_at{};    // when the flight that was acknowledged last began to leave
  bool app_limited = false;     // the path was not filled
};

struct RateSample {
  std::uint64_t rate = 0;             // bytes per second
  std::uint64_t prior_delivered = 0;  // SentPacketState::delivered of its transmission; it counts round trips
  bool app_limited = false;           // the path may deliver more than this sample shows
};

/// Values in, values out. A rate is the smaller of the rate of sending and the rate of acknowledgements, so
/// that aggregated acknowledgements cannot make it larger than what was sent.
class DeliveryRate {
 public:
  /// A segment is transmitted. `in_flight`: bytes in flight before it.
  SentPacketState handle_sent(TimePoint now, std::uint64_t in_flight) {
    if (in_flight == 0) first_sent_at_ = delivered_at_ = now;
    return {delivered_, delivered_at_, first_sent_at_, app_limited_until_ > 0};
  }
  /// `bytes` were acknowledged. `copy` is set if it is known which transmission arrived; it was sent at
  /// `sent_at`.
  void handle_acked(TimePoint now, std::uint64_t bytes, const SentPacketState* copy, TimePoint sent_at);
  /// Nothing waits to be sent although the windows are open: until `in_flight` bytes are acknowledged,
  /// samples show the application's rate and not the path's.
  void handle_app_limited(std::uint64_t in_flight) { app_limited_until_ = delivered_ + in_flight + 1; }
  /// The sample of the acknowledgements since the last call. None if they span less than `min_rtt`: such an
  /// interval is too short to measure.
  std::optional<RateSample> take_sample(Duration min_rtt);

  /// Bytes acknowledged since the session began.
  std::uint64_t delivered() const { return delivered_; }
  bool app_limited() const { return app_limited_until_ > 0; }

 private:
  std::uint64_t delivered_ = 0;
  TimePoint delivered_at_{};
  TimePoint first_sent_at_{};
  std::uint64_t app_limited_until_ = 0;  // delivered bytes; 0: the path is being filled

  // The latest transmission among those acknowledged since take_sample().
  bool pending_ = false;
  SentPacketState pending_state_;
  TimePoint pending_sent_at_{};
};

}  // namespace kcptun
