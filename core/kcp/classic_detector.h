// Loss detection as KCP does it: fast retransmit by packet threshold, and a retransmission time-out for each
// segment.
#pragma once

#include <cstdint>
#include <optional>

#include "core/kcp/loss_detector.h"

namespace kcptun {

/// A segment is lost once `resend` transmissions after its own were acknowledged, or once its time-out
/// passed. Each time-out of a segment lengthens its next one (docs/develop/protocol.md section 5).
class ClassicDetector final : public LossDetector {
 public:
  /// The longest retransmission time-out of a segment: KCP's ceiling (docs/develop/protocol.md section 5),
  /// which is also RFC 6298's recommendation (section 2.4). A longer one would leave a session silent after
  /// an outage for longer than the peer waits.
  static constexpr Duration kMaxTimeout = seconds(60);

  explicit ClassicDetector(const KcpTuning& tuning) : resend_(tuning.resend), nodelay_(tuning.nodelay) {}

  void handle_acked(TimePoint now, const Acknowledgement& facts, const Scoreboard& sent) override;
  Losses end_batch(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) override;
  Losses handle_timeout(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) override;
  std::optional<TimePoint> next_timeout(const RttEstimator& rtt, const Scoreboard& sent) const override;
  void update_settings(const KcpTuning& tuning) override {
    resend_ = tuning.resend;
    nodelay_ = tuning.nodelay;
  }

 private:
  Duration timeout_at(std::uint8_t level, Duration rto) const;

  std::uint32_t resend_;         // packet threshold; 0: no fast retransmit
  bool nodelay_;                 // each time-out adds half an RTO to the next one, not a whole one
  std::uint64_t max_acked_ = 0;  // the highest transmit number known to have arrived
};

}  // namespace kcptun
