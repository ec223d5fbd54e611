// Loss detection by time and tail-loss probes: RACK-TLP (RFC 8985).
#pragma once

#include <cstdint>
#include <optional>

#include "core/kcp/loss_detector.h"

namespace kcptun {

/// A segment is lost if a later transmission was acknowledged and the segment is overdue by more than the
/// reordering window. If nothing is acknowledged, a probe asks for an acknowledgement, by which the other
/// segments are judged. All segments stay on level 0 of the scoreboard: there are no retransmission
/// time-outs.
class RackDetector final : public LossDetector {
 public:
  /// The longest time between two probes, unless the RTO is longer. RFC 8985 doubles the time without a limit
  /// up to the maximum RTO; with this limit traffic resumes at most 500 ms after an outage. A smaller value
  /// costs more packets into an outage, a larger one delays the recovery.
  static constexpr Duration kMaxProbeTimeout = milliseconds(500);
  /// The smallest reordering window. Receivers hand packets over in batches (GRO, interrupt moderation),
  /// which reorders them by up to a millisecond; below it such reordering would be retransmitted.
  static constexpr Duration kMinReordering = milliseconds(1);
  /// The largest initial reordering window. RFC 8985 section 6.2 starts with min_rtt / 4, which on a path of
  /// 200 ms would delay each repair by 50 ms although most paths reorder by less than 5 ms. A smaller value
  /// causes spurious retransmissions until the window has adapted.
  static constexpr Duration kMaxFirstReordering = milliseconds(5);
  /// The largest reordering window, in units of the initial one. The smoothed RTT limits it further (RFC 8985
  /// section 6.2 step 4); this limit bounds how many real losses are needed to return to the initial window.
  static constexpr std::uint32_t kMaxReordering = 64;
  /// Losses in a row, none of them spurious, after which the reordering window shrinks by one unit. RFC 8985
  /// resets it after 16 recoveries; a few dozen segments are as much evidence here, where losses are counted
  /// one by one. A smaller value lets the window oscillate on a path that reorders and loses.
  static constexpr std::uint32_t kCalmLosses = 64;

  void handle_acked(TimePoint now, const Acknowledgement& facts, const Scoreboard& sent) override;
  Losses end_batch(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) override;
  Losses handle_timeout(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) override;
  std::optional<TimePoint> next_timeout(const RttEstimator& rtt, const Scoreboard& sent) const override;
  void update_settings(const KcpTuning&) override {}

  /// How much later than a newer transmission a segment may be acknowledged without being lost: a quarter of
  /// the minimum RTT at first, between kMinReordering and kMaxFirstReordering. Each round trip with a
  /// spurious loss widens it by as much, up to the smoothed RTT; each kCalmLosses real losses narrow it (RFC
  /// 8985 section 6.2 step 4).
  Duration reordering_window(const RttEstimator& rtt) const;

 private:
  void detect_lost(TimePoint now, const RttEstimator& rtt, Scoreboard& sent, Losses& losses);
  bool on_probe_timeout(TimePoint now, const RttEstimator& rtt, Scoreboard& sent);
  std::optional<TimePoint> probe_at(const RttEstimator& rtt, const Scoreboard& sent) const;
  void widen_reordering(const SentSegment& segment, std::uint64_t newest);

  std::uint64_t max_acked_ = 0;            // the highest transmit number known to have arrived
  Duration max_acked_rtt_{0};              // of that transmission
  std::optional<TimePoint> threshold_at_;  // when the next segment exceeds the time threshold
  std::uint32_t reordering_ = 1;           // reordering window, in units of the initial one
  std::uint64_t widened_at_ = 0;  // transmit number: spurious losses up to it have widened the window already
  std::uint32_t calm_losses_ = 0;  // losses since the last spurious one, or since the window narrowed
  TimePoint progress_at_{};        // when something was last acknowledged
  TimePoint probed_at_{};
  std::uint32_t pto_count_ = 0;  // probes since then
};

}  // namespace kcptun
