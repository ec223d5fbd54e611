// Which of the segments in flight are lost.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/rtt_estimator.h"
#include "core/kcp/scoreboard.h"

namespace kcptun {

/// What one run of loss detection found.
struct Losses {
  std::uint32_t by_time = 0;              // segments beyond RACK's time threshold
  std::uint32_t by_packet_threshold = 0;  // segments for fast retransmit
  std::uint32_t timed_out = 0;            // segments whose retransmission time-out passed
  std::uint32_t events = 0;               // as Scoreboard::LossFacts counts them
  bool probe_due = false;                 // one packet must leave, whatever is in flight
  FirstOutcomes first;

  void add(const LossFacts& facts) {
    events += facts.new_event;
    first.add(facts.first);
  }
};

/// Marks segments on a scoreboard as lost. A session has one detector for its life. Knows times and transmit
/// numbers; does not know congestion: what a loss means for the sending rate is the controller's decision.
class LossDetector {
 public:
  virtual ~LossDetector() = default;
  /// A segment was newly acknowledged. REQUIRES: facts.segment.
  virtual void handle_acked(TimePoint now, const Acknowledgement& facts, const Scoreboard& sent) = 0;
  /// A batch of packets was handled.
  virtual Losses end_batch(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) = 0;
  /// Time passed.
  virtual Losses handle_timeout(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) = 0;
  /// When handle_timeout() may next find something.
  virtual std::optional<TimePoint> next_timeout(const RttEstimator& rtt, const Scoreboard& sent) const = 0;
  /// KcpTuning::resend and nodelay may change at any time.
  virtual void update_settings(const KcpTuning& tuning) = 0;
};

/// nc 1: RackDetector. nc 0: ClassicDetector, because KCP's own congestion control expects its signals.
std::unique_ptr<LossDetector> make_loss_detector(const KcpTuning& tuning);

}  // namespace kcptun
