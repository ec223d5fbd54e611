// How fast the path delivers: a sample of the delivery rate for each batch of acknowledgements
// (draft-cheng-iccrg-delivery-rate-estimation-02).
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// What was known when a copy of a segment left. Kept beside the segment until it is acknowledged.
struct SentPacketState {
  std::uint64_t delivered = 0;  // bytes acknowledged by then, in the conversation's life
  TimePoint delivered_at{};     // when the last of them were
  TimePoint first_sent_at{};    // when the flight that was acknowledged last began to leave
  bool app_limited = false;     // the path was not filled
};

struct RateSample {
  std::uint64_t rate = 0;  // bytes per second
  std::uint64_t prior_delivered =
      0;                     // SentPacketState::delivered of the copy it was taken from: tells the round trip
  bool app_limited = false;  // the path could do more, as far as this sample tells
};

/// Values in, values out. A rate is the smaller of that at which the copies left and that at which they were
/// acknowledged: acknowledgements that come in bunches cannot make it larger than what was sent.
class DeliveryRate {
 public:
  /// A copy leaves. `in_flight`: bytes under way before it.
  SentPacketState handle_sent(TimePoint now, std::uint64_t in_flight) {
    if (in_flight == 0) first_sent_at_ = delivered_at_ = now;
    return {delivered_, delivered_at_, first_sent_at_, app_limited_until_ > 0};
  }
  /// `bytes` were acknowledged. `copy` is set when it is known which copy arrived, with the time it left.
  void handle_acked(TimePoint now, std::uint64_t bytes, const SentPacketState* copy, TimePoint sent_at);
  /// Nothing more waits to be sent though the windows would take it: what is under way tells of the
  /// application, not of the path.
  void handle_app_limited(std::uint64_t in_flight) { app_limited_until_ = delivered_ + in_flight + 1; }
  /// The sample of the acknowledgements since the last call. None when they were too close together to tell:
  /// closer than `shortest`, the smallest round trip.
  std::optional<RateSample> take_sample(Duration shortest);

  /// Bytes acknowledged in the conversation's life.
  std::uint64_t delivered() const { return delivered_; }
  bool app_limited() const { return app_limited_until_ > 0; }

 private:
  std::uint64_t delivered_ = 0;
  TimePoint delivered_at_{};
  TimePoint first_sent_at_{};
  std::uint64_t app_limited_until_ = 0;  // 0: the path is being filled

  // The copy that left last among those acknowledged since take_sample().
  bool pending_ = false;
  SentPacketState pending_state_;
  TimePoint pending_sent_at_{};
};

}  // namespace kcptun
