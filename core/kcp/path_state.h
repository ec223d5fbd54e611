// What a session has learnt about its path: RTT, loss, and how much and how fast to send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/congestion.h"
#include "core/kcp/congestion_table.h"
#include "core/kcp/loss_detector.h"
#include "core/kcp/loss_estimator.h"
#include "core/kcp/pacer.h"
#include "core/kcp/rtt_estimator.h"
#include "core/kcp/send_window.h"

namespace kcptun {

/// Owns the RTT estimator, the congestion controller, the pacer and the loss estimate, and is the only class
/// that calls the controller. Knows bytes and times; does not know packets. All of it is about one path:
/// reset() forgets it once the peer has proved that it has moved.
class PathState {
 public:
  /// `phase`: see ControllerContext.
  PathState(const KcpTuning& tuning, std::size_t packet_size, std::uint32_t phase);

  // --- events ---

  void handle_rtt_sample(TimePoint now, Duration rtt);
  /// So many segments were newly acknowledged.
  void handle_acked(std::uint32_t segments) { acked_.packets += segments; }
  void handle_spurious_loss() { controller_->on_spurious(); }
  /// It is `now`: call it before data may be queued. See backlog_limit().
  void handle_time(TimePoint now) { now_ = now; }
  /// LossDetector::handle_timeout() found `losses`.
  void handle_timeout(const Losses& losses);
  struct BatchEnd {
    TimePoint now{};
    std::uint64_t in_flight = 0;  // bytes, before the losses were found; each segment counts as a full packet
    std::uint64_t peer_window = 0;  // bytes; each segment counts as a full packet
  };
  /// LossDetector::end_batch() found `losses`: passes the batch on to the controller.
  void end_batch(const BatchEnd& batch, const Losses& losses, SendWindow& sent);
  /// The windows, not the application, leave the path idle: `delivered` bytes were acknowledged so far, and
  /// the windows allow `window_bytes` in flight.
  void handle_window_limited(std::uint64_t delivered, std::uint64_t window_bytes) {
    window_limited_until_ = delivered + kWindowMemory * window_bytes;
  }
  /// Packets take another path from now on, of which nothing is known (RFC 9000 section 9.4).
  void reset();
  /// A packet with data left: `charged_bytes` with headers and shares of parity.
  void handle_sent(TimePoint now, std::uint64_t charged_bytes, std::uint64_t in_flight);
  /// A full packet has `bytes` from now on.
  void handle_mtu_change(std::size_t bytes) { controller_->on_mtu_changed(bytes); }
  /// KcpTuning::nodelay and interval may change at any time; the controller takes over `rate`.
  void update_settings(const KcpTuning& tuning);

  // --- sending ---

  /// True if the controller permits more than `in_flight` bytes in flight.
  bool has_window(std::uint64_t in_flight) const { return in_flight < controller_->in_flight_limit(); }
  /// Segments that may be past una, where full packets have `packet_size` bytes.
  std::uint32_t segment_window(std::size_t packet_size) const { return controller_->send_limit(packet_size); }
  /// Packets of `packet_size` bytes that may be queued behind `in_flight` bytes in flight: what may leave
  /// now, and a little more. Later data, which may be more urgent, waits for all that is queued.
  std::uint32_t backlog_limit(std::uint64_t in_flight, std::size_t packet_size) const;
  Pacer& pacer() { return pacer_; }

  // --- getters ---

  const RttEstimator& rtt() const { return rtt_; }
  /// The minimum RTT; 0 before the first sample.
  Duration min_rtt() const { return rtt_.minimum().value_or(Duration(0)); }
  /// The share of packets that the path loses.
  double loss() const { return loss_.share(); }
  /// The same, with some more while little was measured (LossEstimator::assumed_share).
  double assumed_loss() const { return loss_.assumed_share(); }
  PathEstimate estimate() const { return controller_->estimate(); }
  /// True while the windows leave the path idle, and for some round trips afterwards.
  bool window_limited(std::uint64_t delivered) const { return delivered < window_limited_until_; }

 private:
  /// Windows' worth of delivered data for which the windows count as the limit after they were. It bridges
  /// the round trips in which bulk data happens to fill a window exactly; larger values let redundancy take
  /// capacity that data wants.
  static constexpr std::uint64_t kWindowMemory = 2;

  void report_batch(const BatchEnd& batch, SendWindow& sent);

  KcpTuning tuning_;
  RttEstimator rtt_;
  std::unique_ptr<CongestionController> controller_;
  Pacer pacer_;
  TimePoint now_{};  // of the last event
  LossEstimator loss_;
  LostEvent lost_;                          // found since the last batch
  AckedEvent acked_;                        // of the batch that is being handled
  std::uint64_t window_limited_until_ = 0;  // delivered bytes
};

}  // namespace kcptun
