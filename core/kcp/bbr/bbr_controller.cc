#include "core/kcp/bbr/bbr_controller.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "core/kcp/bbr/drain.h"
#include "core/kcp/congestion_table.h"

namespace kcptun {
namespace {

// Packets that may be in flight before anything is known: the window that KCP assumes of its peer
// (docs/develop/protocol.md section 5). Lower: Startup takes more rounds. Higher: the first burst overflows
// shallow queues. [lab] "nothing set but the key".
constexpr std::uint64_t kFirstWindow = 32;
// Packets that may always be in flight, unless they take longer than kMinWindowTime. [BBR] BBR.MinPipeCwnd.
// Lower: a wrong sample, taken across an outage, stops the session. Higher: many sessions overflow a slow
// path together.
constexpr std::uint64_t kMinWindow = 4;
// Time that kMinWindow may take on a slow path, and the packets that may be in flight even then: one that
// leaves the queue, and one behind it. Lower: the path idles. Higher: an echo beside bulk waits. [sim]
// slow_uplink_test.
constexpr Duration kMinWindowTime = milliseconds(250);
constexpr std::uint64_t kSlowWindow = 2;
// Packets in flight while the round trip is measured: on a slow path two of them are a queue. Lower: nothing
// is measured. Higher: the minimum of a slow path grows from probe to probe, and its window with it. [sim] as
// kMinWindowTime.
constexpr std::uint64_t kProbeRttWindow = 1;
// Packets in a round trip, the lowest rate. Lower: as kMinWindow. Higher: bursts overflow shallow queues.
constexpr std::uint64_t kMinRate = 8;
// Packets that each session may have in the queue beyond its time there. The number is the same for all, so
// the session with less bandwidth gains more by it, and shares converge. Lower: they converge slower. Higher:
// the queue grows with the number of sessions. [lab] "two tunnels on one link, RTT 50 ms", share of the link.
constexpr std::uint64_t kShare = 32;
// Time that a probe of the bandwidth, which sends a quarter more for a round trip, may leave in the queue,
// and a quarter of the round trip at most. Lower: the probe does not show. Higher: other traffic waits. [lab]
// "a 64-byte ping beside a bulk stream", p99.
constexpr Duration kProbeQueue = milliseconds(20);
// Time that the window of a path that is not paced holds: what the scheduler may take from this process.
// Lower: a loopback idles. Higher: its socket buffers overflow. docs/evidence/benchmarks.md.
constexpr Duration kUnpacedQueue = milliseconds(10);

}  // namespace

BbrController::BbrController(std::uint64_t packet_size, std::uint32_t phase)
    : packet_size_(packet_size),
      next_packet_size_(packet_size),
      phase_(phase),
      probe_bw_(phase),
      window_(kFirstWindow * packet_size) {}

PathEstimate BbrController::estimate() const {
  return {std::min(model_.bandwidth(), policer_.rate()), model_.min_rtt(), window_, pacing_rate_};
}

std::uint64_t BbrController::min_window() const {
  if (state_ == State::kProbeRtt) return kProbeRttWindow * packet_size_;
  if (!startup_.pipe_filled()) return kMinWindow * packet_size_;
  return std::clamp(model_.carried_in(kMinWindowTime), kSlowWindow * packet_size_, kMinWindow * packet_size_);
}

void BbrController::on_lost(const LostEvent& lost) {
  batch_lost_ += lost.packets;
  batch_events_ += lost.events;
  model_.count_lost(lost);
  probe_bw_.handle_loss();
}

void BbrController::on_acked(const AckedEvent& acked) {
  update_model(acked);
  startup_.handle_batch(model_, acked);
  if (policer_.suspects()) startup_.handle_policer();
  if (model_.min_rtt().count() == 0) return;
  advance(acked);
  update_pacing_rate();
  update_window(acked);
}

// --- the model ---

void BbrController::update_model(const AckedEvent& acked) {
  model_.count_acked(acked);
  if (model_.end_round(acked)) handle_round();
  model_.update_bandwidth(acked);
  model_.update_extra_acked(acked, window_);
  const bbr::Batch batch{acked, std::exchange(batch_lost_, 0), std::exchange(batch_events_, 0)};
  handle_losses(batch);
  if (startup_.pipe_filled()) detect_slowdown(batch);
}

void BbrController::handle_round() {
  if (startup_.pipe_filled()) losses_.handle_round(model_.last());
  probe_rtt_.handle_round(model_, window_);
  if (!startup_.pipe_filled()) return startup_.handle_round(model_);
  inflight_hi_.handle_round(model_, losses_.share(), packet_size_);
}

void BbrController::handle_losses(const bbr::Batch& batch) {
  policer_.handle_batch(model_, losses_, batch, startup_.pipe_filled());
  if (!probe_bw_.counts(model_, batch.acked.now)) return;
  probe_bw_.count(batch.acked.packets + batch.lost);
  losses_.measure(batch.acked.packets + batch.lost, batch.lost);
}

void BbrController::detect_slowdown(const bbr::Batch& batch) {
  const std::optional<std::uint64_t> rate = slowdown_.handle_batch(model_, batch);
  if (!rate || state_ != State::kProbeBw) return;
  model_.set_bandwidth(*rate, batch.acked.now);
  state_ = State::kDrain;
}

// --- the state machine ---

void BbrController::advance(const AckedEvent& acked) {
  if (state_ == State::kStartup && startup_.pipe_filled()) {
    state_ = State::kDrain;
    startup_.handle_exit(acked.now);
  }
  if (state_ == State::kDrain && acked.in_flight <= bbr::drained_window(model_, min_window()))
    begin_probe_bw(acked.now);
  if (state_ == State::kProbeBw) probe_bw_.advance(model_, acked, losses_.share());
  if (state_ == State::kProbeRtt) return advance_probe_rtt(acked);
  if (probe_rtt_.due(model_, acked.now)) begin_probe_rtt(acked.now);
}

void BbrController::begin_probe_bw(TimePoint now) {
  state_ = State::kProbeBw;
  probe_bw_.begin(now);
}

// The application leaves gaps that would have shown a shorter round trip: then the last round tells what the
// path takes. A policer has no queue, so each round tells it.
void BbrController::begin_probe_rtt(TimePoint now) {
  const bool gaps = (model_.current().app_limited || model_.last().app_limited) &&
                    model_.last().max_in_flight <= model_.bdp(1) + packet_size_;
  if (gaps || policer_.limits() || !model_.paced()) {
    if (model_.last().samples > 0) model_.set_min_rtt(model_.last().min_rtt);
    return model_.renew_min_rtt(now);
  }
  state_ = State::kProbeRtt;
  probe_rtt_.begin(model_, now);
}

void BbrController::advance_probe_rtt(const AckedEvent& acked) {
  const bbr::ProbeRtt::Outcome outcome = probe_rtt_.advance(model_, acked, min_window());
  if (outcome == bbr::ProbeRtt::Outcome::kGoesOn) return;
  startup_.handle_probe(outcome == bbr::ProbeRtt::Outcome::kPathIsLonger, acked.now);
  if (startup_.pipe_filled()) return begin_probe_bw(acked.now);
  state_ = State::kStartup;
}

// --- the control parameters ---

double BbrController::pacing_gain() const {
  switch (state_) {
    case State::kStartup:
      return bbr::kStartupGain;
    case State::kDrain:
      return bbr::kDrainGain;
    case State::kProbeBw:
      return probe_bw_.gain();
    case State::kProbeRtt:
      return 1;
  }
  return 1;
}

// What arrives is to be as much as the path delivers: what it loses is sent on top.
void BbrController::update_pacing_rate() {
  if (!model_.paced()) {
    pacing_rate_ = 0;
    return;
  }
  const double lost = probe_bw_.measuring() || policer_.tests() ? 0 : losses_.share();
  // A policer has no queue to fill or to drain: the rate is its own in all phases.
  const double arrives = policer_.limits() ? static_cast<double>(policer_.rate())
                                           : std::min(pacing_gain() * static_cast<double>(model_.bandwidth()),
                                                      static_cast<double>(policer_.rate()));
  const double rate = arrives / (1 - lost);
  // For so few packets the window is limit enough.
  const double min_rate =
      static_cast<double>(kMinRate * packet_size_) * 1e6 / static_cast<double>(model_.min_rtt().count());
  if (startup_.pipe_filled()) {
    pacing_rate_ = static_cast<std::uint64_t>(std::max(rate, min_rate));
    return;
  }
  // The first window in a round trip, times the gain, and never less than before.
  const double first =
      bbr::kStartupGain * static_cast<double>(kFirstWindow) / static_cast<double>(kMinRate) * min_rate;
  pacing_rate_ =
      std::max(pacing_rate_, static_cast<std::uint64_t>(std::max(rate, pacing_rate_ == 0 ? first : 0)));
}

std::uint64_t BbrController::target_window() const {
  const Duration queue = model_.paced()
                             ? bbr::kQueueTarget + std::min<Duration>(model_.min_rtt() / 4, kProbeQueue)
                             : kUnpacedQueue;
  const std::uint64_t queued = model_.carried_in(queue);
  if (!startup_.pipe_filled()) return model_.bdp(bbr::kStartupWindowGain) + queued;
  // On a path that is not paced, the scheduler's gaps look like aggregation.
  // A packet at a time is no aggregation: on a slow path it would be a queue.
  const std::uint64_t extra = model_.paced() ? model_.extra_acked() : 0;
  const std::uint64_t aggregated = extra - std::min(extra, packet_size_);
  const std::uint64_t share = std::min(kShare * packet_size_, 2 * queued);
  return model_.bdp(1 / (1 - losses_.share())) + std::max(queued, aggregated) + share;
}

void BbrController::update_window(const AckedEvent& acked) {
  const std::uint64_t target = target_window();
  if (startup_.pipe_filled()) {
    window_ = std::min(window_ + acked.bytes, target);
  } else if (window_ < target || acked.delivered < kFirstWindow * packet_size_) {
    window_ += acked.bytes;
  }
  window_ = std::min(window_, inflight_hi_.value());
  // With fewer packets in a round trip, pacing at the lowest rate drains nothing.
  if (state_ == State::kDrain && model_.bdp(1) < kMinRate * packet_size_)
    window_ = std::min(window_, bbr::drained_window(model_, min_window()));
  if (policer_.conserves()) window_ = std::min(window_, acked.in_flight + acked.bytes);
  if (state_ == State::kProbeRtt) window_ = std::min(window_, model_.bdp(bbr::kProbeRttGain));
  window_ = std::max(window_, min_window());
}

std::unique_ptr<CongestionController> make_bbr_controller(const ControllerContext& context) {
  return std::make_unique<BbrController>(context.packet_size, context.phase);
}

}  // namespace kcptun
