#include "core/kcp/path_state.h"

#include <algorithm>

namespace kcptun {
namespace {

// The lowest retransmission time-out: KCP's IKCP_RTO_MIN and IKCP_RTO_NDL (docs/protocol.md section 5).
// Smaller values retransmit segments whose acknowledgement waits for the peer's interval.
constexpr Duration kRtoFloor = milliseconds(100);
constexpr Duration kRtoFloorNodelay = milliseconds(30);
// How long paced data may be queued. Data that is written later waits behind it, so it is short; below a few
// timer granularities (Pacer::kTimerGranularity) the pacer runs dry between two wake-ups.
constexpr Duration kBacklogTime = milliseconds(4);
// Segments that may be queued on slow paths, where kBacklogTime is less than a segment: enough for one read
// of a small request. Larger values add queueing delay to paths below 20 Mbit/s.
constexpr std::uint32_t kMinBacklog = 8;

Duration rto_floor(const KcpTuning& tuning) { return tuning.nodelay ? kRtoFloorNodelay : kRtoFloor; }

}  // namespace

PathState::PathState(const KcpTuning& tuning, std::size_t packet_size, std::uint32_t phase)
    : tuning_(tuning),
      phase_(phase),
      rtt_(rto_floor(tuning), tuning.interval),
      controller_(make_congestion_controller(tuning, static_cast<std::uint32_t>(packet_size), phase)) {}

void PathState::handle_rtt_sample(TimePoint now, Duration rtt) {
  rtt_.add_sample(now, rtt);
  acked_.rtt = std::min(acked_.rtt.value_or(rtt), rtt);
}

// What time found lost is passed on with the next batch; a retransmission time-out cannot wait for one.
void PathState::handle_timeout(const Losses& losses) {
  acked_.lost += losses.by_time;
  if (losses.timed_out > 0) controller_->on_retransmission_timeout();
}

void PathState::end_batch(const BatchEnd& batch, const Losses& losses, SendWindow& sent) {
  const std::uint32_t lost = losses.by_time + losses.by_packet_threshold;
  acked_.lost += lost;
  if (acked_.segments > 0 || lost > 0) pass_on(batch, sent);
  if (losses.by_packet_threshold > 0) controller_->on_packet_threshold_loss(batch.in_flight);
}

void PathState::pass_on(const BatchEnd& batch, SendWindow& sent) {
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
  acked_.loss_events = outcomes.loss_events;
  controller_->handle_batch(acked_);
  pacer_.set_rate(controller_->pacing_rate());
  acked_.segments = acked_.lost = 0;
  acked_.rtt.reset();
}

std::uint32_t PathState::backlog_limit(std::uint64_t in_flight, std::size_t packet_size) const {
  if (pacer_.rate() > 0) {
    const auto paced =
        static_cast<std::uint64_t>(kBacklogTime.count()) * pacer_.rate() / 1000000 / packet_size;
    return std::max(
        static_cast<std::uint32_t>(std::min<std::uint64_t>(paced, CongestionController::kNoWindow)),
        kMinBacklog);
  }
  const std::uint64_t window = controller_->byte_window();
  if (window == CongestionController::kNoByteWindow) return CongestionController::kNoWindow;
  if (window <= in_flight) return 0;
  return static_cast<std::uint32_t>((window - in_flight) / packet_size + 1);
}

void PathState::reset(std::size_t packet_size) {
  rtt_ = RttEstimator(rto_floor(tuning_), tuning_.interval);
  controller_ = make_congestion_controller(tuning_, static_cast<std::uint32_t>(packet_size), phase_);
  pacer_ = Pacer();
  loss_ = LossEstimator();
  window_limited_until_ = 0;
}

void PathState::update_settings(const KcpTuning& tuning) {
  tuning_.nodelay = tuning.nodelay;
  tuning_.interval = tuning.interval;
  rtt_.update_settings(rto_floor(tuning), tuning.interval);
}

}  // namespace kcptun
