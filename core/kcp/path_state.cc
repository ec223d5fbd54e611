#include "core/kcp/path_state.h"

#include <algorithm>

namespace kcptun {
namespace {

// The lowest retransmission time-out: KCP's IKCP_RTO_MIN and IKCP_RTO_NDL (docs/develop/protocol.md section
// 5). Smaller values retransmit segments whose acknowledgement waits for the peer's interval.
constexpr Duration kRtoFloor = milliseconds(100);
constexpr Duration kRtoFloorNodelay = milliseconds(30);
// How much paced data may be queued beyond what may leave now, as time at the paced rate. Data that is
// written later waits behind it, so it is short. Less: the pacer runs dry between two wake-ups of which the
// second is late.
constexpr Duration kBacklogTime = 2 * Pacer::kTimerGranularity;
// Segments that may be queued on slow paths, where kBacklogTime is less than a segment: one that leaves, and
// one behind it. Each more adds 100 ms to the delay at 100 kbit/s.
constexpr std::uint32_t kMinBacklog = 2;

Duration rto_floor(const KcpTuning& tuning) { return tuning.nodelay ? kRtoFloorNodelay : kRtoFloor; }

}  // namespace

PathState::PathState(const KcpTuning& tuning, std::size_t packet_size, std::uint32_t phase)
    : tuning_(tuning),
      rtt_(rto_floor(tuning), tuning.interval),
      controller_(make_congestion_controller(tuning, packet_size, phase)) {}

void PathState::handle_rtt_sample(TimePoint now, Duration rtt) {
  rtt_.add_sample(now, rtt);
  acked_.rtt = std::min(acked_.rtt.value_or(rtt), rtt);
}

// What time found lost is passed on with the next batch; a retransmission time-out cannot wait for one.
void PathState::handle_timeout(const Losses& losses) {
  lost_.packets += losses.by_time;
  if (losses.timed_out > 0) controller_->on_timeout();
}

void PathState::end_batch(const BatchEnd& batch, const Losses& losses, SendWindow& sent) {
  const std::uint32_t lost = losses.by_time + losses.by_packet_threshold;
  lost_.packets += lost;
  lost_.in_flight = batch.in_flight;
  if (acked_.packets > 0 || lost > 0) report_batch(batch, sent);
}

void PathState::report_batch(const BatchEnd& batch, SendWindow& sent) {
  const SendWindow::PathOutcomes outcomes = sent.take_outcomes();
  loss_.handle_unprotected(outcomes.first[FirstOutcome::kUnprotectedArrived],
                           outcomes.first[FirstOutcome::kUnprotectedLost]);
  loss_.handle_protected(outcomes.first[FirstOutcome::kProtectedArrived],
                         outcomes.first[FirstOutcome::kProtectedLost]);
  acked_.now = batch.now;
  acked_.peer_window = batch.peer_window;
  acked_.in_flight = sent.in_flight_bytes();
  acked_.bytes = sent.rate().delivered() - acked_.delivered;
  acked_.delivered = sent.rate().delivered();
  acked_.rate = sent.rate().take_sample(min_rtt());
  lost_.events = outcomes.loss_events;
  if (lost_.packets > 0) controller_->on_lost(lost_);
  controller_->on_acked(acked_);
  pacer_.set_rate(controller_->pacing_rate());
  lost_ = {};
  acked_.packets = 0;
  acked_.rtt.reset();
}

std::uint32_t PathState::backlog_limit(std::uint64_t in_flight, std::size_t packet_size) const {
  if (pacer_.rate() > 0) {
    const Duration time = kBacklogTime + pacer_.behind(now_);
    const auto paced = static_cast<std::uint64_t>(time.count()) * pacer_.rate() / 1000000 / packet_size;
    return std::max(
        static_cast<std::uint32_t>(std::min<std::uint64_t>(paced, CongestionController::kAllSegments)),
        kMinBacklog);
  }
  const std::uint64_t window = controller_->in_flight_limit();
  if (window == CongestionController::kUnlimited) return CongestionController::kAllSegments;
  if (window <= in_flight) return 0;
  return static_cast<std::uint32_t>((window - in_flight) / packet_size + 1);
}

void PathState::handle_sent(TimePoint now, std::uint64_t charged_bytes, std::uint64_t in_flight) {
  now_ = now;
  pacer_.charge(now, charged_bytes);
  controller_->on_sent({now, charged_bytes, in_flight});
}

void PathState::reset() {
  rtt_ = RttEstimator(rto_floor(tuning_), tuning_.interval);
  controller_->on_path_changed();
  pacer_ = Pacer();
  loss_ = LossEstimator();
  window_limited_until_ = 0;
}

void PathState::update_settings(const KcpTuning& tuning) {
  tuning_.nodelay = tuning.nodelay;
  tuning_.interval = tuning.interval;
  rtt_.update_settings(rto_floor(tuning), tuning.interval);
  controller_->on_rate_limit_changed(tuning.rate);
}

}  // namespace kcptun
