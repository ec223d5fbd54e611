#include "core/kcp/bbr_controller.h"

#include "core/kcp/congestion_table.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kcptun {
namespace {

// 2/ln 2: the smallest gain that doubles the delivered rate each round trip (the BBR draft, section 4.3.1.1).
constexpr double kStartupGain = 2.89;
constexpr double kDrainGain = 1 / kStartupGain;
constexpr double kStartupWindowGain = 2.0;
constexpr std::array kCycle{1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0};
constexpr std::size_t kProbeSeen = 2;  // the phase at whose end the probe has told what it found
constexpr int kMaxProbe = 2;  // round trips: what the window, or the application, keeps from filling the path
constexpr int kMaxDrain = 2;  // round trips: a queue that was there before the probe goes with the probe's
constexpr double kProbeGrowth = 1.1;  // of a probe that found more
constexpr std::uint64_t kBandwidthRounds = 10;
constexpr Duration kBandwidthTime = milliseconds(500);  // rounds of a loopback are over in no time
constexpr double kGrowth = 1.25;  // of the bandwidth in a round: the pipe is not full yet
constexpr std::uint32_t kFullRounds = 3;
constexpr std::uint32_t kLimitedRounds = 5;

constexpr Duration kRoundTripAge = seconds(10);
constexpr Duration kRoundTripProbe = milliseconds(200);
constexpr double kRoundTripProbeGain = 0.5;
// Rounds that are longer than what the model lets be under way explains, by as much: the path has become longer.
constexpr std::uint32_t kLongRounds = 3;
constexpr double kLongRound = 1.25;
constexpr std::uint32_t kQueuedRounds = 2 * kCycle.size();  // with a queue in each of them, which sending less did not empty
constexpr Duration kStartupDoubt = seconds(5);  // how long a queue may turn out to have been a longer path
constexpr Duration kMinProbeGap = seconds(2);

// A round trip below this is that of a loopback or a fast LAN: timers are coarser than it, so nothing is
// paced, and the window holds kUnpacedQueue's worth.
constexpr Duration kPacedRoundTrip = milliseconds(1);
constexpr Duration kUnpacedQueue = milliseconds(10);

// What may stand in the path's queue: as much delay, whatever the number of conversations that share it. A probe, which
// sends a quarter more for a round trip, leaves kProbeQueue of it at most.
constexpr Duration kQueue = milliseconds(10);
constexpr Duration kProbeQueue = milliseconds(20);

// The same for everybody: conversations that share a bottleneck meet, because who has less of it gets as much more.
constexpr std::uint64_t kShare = 32;  // segments

constexpr std::uint64_t kFirstWindow = 32;    // segments; what KCP assumes of its peer, too
constexpr std::uint64_t kMinWindow = 8;  // segments

// A queue: even the fastest of a round's acknowledgements, of so many at least, took so much longer than the
// path does.
constexpr std::uint32_t kQueueSamples = 8;
constexpr std::uint32_t kEarlySamples = 32;  // before the round is over
constexpr Duration kQueueSlack = milliseconds(4);
// With a queue, losing more than this share of a round is a sign of its end.
constexpr double kCongestiveLoss = 0.01;
constexpr std::uint64_t kJudgedPackets = 400;
constexpr double kBeta = 0.85;
// A round that loses so much more than the ones before has overflowed a path that has no queue to show: Startup sends up
// to twice what it takes. Less may be acknowledgements that got lost, which Go's programs send in bunches.
constexpr double kOverflow = 0.3;
constexpr std::uint64_t kOverflowPackets = 64;
constexpr std::uint32_t kOverflowEvents = 8;  // one burst is none
// Packets of a round whose loss is worth looking at; the share of losses that is made up for, at most.
constexpr std::uint64_t kLossSamples = 32;
constexpr double kMaxMadeUpFor = 0.25;
// One cycle in so many measures the loss: the phase that sends less begins to count after kMeasureAfter round trips, and
// ends after kMeasuredPackets, or kMaxMeasure round trips.
constexpr std::uint32_t kMeasureCycles = 8;
constexpr double kMeasureAfter = 1.5;
constexpr int kMaxMeasure = 6;
constexpr double kMeasuredPackets = 64;
constexpr double kMeasureMemory = 1024;  // packets
// Losses so much beyond what was measured, without a queue, are a policer's. Its rate is taken for so many rounds (BBR's
// long-term bandwidth).
constexpr double kPolicedLoss = 0.05;
constexpr std::uint64_t kPolicedRounds = 48;
constexpr std::uint64_t kMaxPolicedRounds = 384;  // doubled each time that it is found to be there still
constexpr double kInflightHiGrowth = 1.0 / 16;  // per round without such losses

}  // namespace

BbrController::BbrController(std::uint64_t segment_size, std::uint32_t phase)
    : segment_size_(segment_size),
      next_segment_size_(segment_size),
      phase_(phase),
      bandwidth_(kBandwidthRounds, kBandwidthTime),
      cycle_(2 + phase % (kCycle.size() - 2)),
      cycles_(kMeasureCycles - 1),
      extra_acked_(kBandwidthRounds, kBandwidthTime),
      window_(kFirstWindow * segment_size) {}

PathEstimate BbrController::estimate() const { return {bandwidth_.value(), round_trip_, window_, pacing_rate_}; }

// The bandwidth-delay product, times `gain`.
std::uint64_t BbrController::product(double gain) const {
  return static_cast<std::uint64_t>(static_cast<double>(bandwidth_.value()) *
                                    static_cast<double>(round_trip_.count()) * 1e-6 * gain);
}

void BbrController::on_lost(const LostEvent& lost) {
  batch_lost_ += lost.packets;
  current_.lost += lost.packets;
  current_.loss_events += lost.events;
  cycle_lost_ |= lost.packets > 0;
}

void BbrController::on_acked(const AckedEvent& batch) {
  current_.acked += batch.packets;
  current_.most_in_flight = std::max(current_.most_in_flight, batch.in_flight + batch.bytes);
  update_round_trip(batch);
  update_round(batch);
  update_bandwidth(batch);
  update_aggregation(batch);
  measure_loss(batch);
  batch_lost_ = 0;
  if (!pipe_filled_ && overflows(current_, kEarlySamples)) {
    pipe_filled_ = true;
    startup_saw_queue_ = shows_queue(current_, kEarlySamples);
  }
  if (round_trip_.count() == 0) return;
  advance(batch);
  set_outputs(batch);
}

// --- the model ---

void BbrController::update_round_trip(const AckedEvent& batch) {
  if (!batch.rtt) return;
  ++current_.samples;
  const Duration rtt = std::max<Duration>(*batch.rtt, Duration(1));
  current_.shortest = std::min(current_.shortest, rtt);
  if (round_trip_.count() != 0 && rtt > round_trip_) return;
  round_trip_ = rtt;
  round_trip_at_ = batch.now;
}

void BbrController::update_round(const AckedEvent& batch) {
  if (!batch.rate) return;
  current_.app_limited |= batch.rate->app_limited;
  if (batch.rate->prior_delivered < round_ends_at_) return;
  round_ends_at_ = batch.delivered;
  ++round_;
  finish_round(batch);
}

void BbrController::finish_round(const AckedEvent& batch) {
  last_ = current_;
  current_ = Round{};
  note_loss();
  watch_round_trip();
  if (!pipe_filled_) return check_full_pipe();
  watch_policer(batch);
  adapt_inflight_hi();
}

// What the path loses whatever we do: the smallest share of a round's packets in one cycle, and no more than was measured
// while less was sent than the path takes.
void BbrController::note_loss() {
  if (last_.packets() < kLossSamples || !pipe_filled_) return;
  cycle_loss_ = std::min(cycle_loss_, last_.loss());
  if (++cycle_rounds_ < kCycle.size()) return;
  path_loss_ = std::min({cycle_loss_, loss_bound(), kMaxMadeUpFor});
  cycle_rounds_ = 0;
  cycle_loss_ = 1;
}

// A queue of our own is as long as what is under way takes at the bandwidth, at most. What takes longer is a longer path, or
// somebody else's queue: either is measured at once, not after kRoundTripAge, for the window is too small for it.
void BbrController::watch_round_trip() {
  const std::uint64_t bandwidth = bandwidth_.value();
  const Duration own = bandwidth == 0 ? Duration(0) : Duration(window_ * 1000000 / bandwidth);
  const bool longer = shows_queue(last_, kQueueSamples) && bandwidth > 0 &&
                      static_cast<double>(last_.shortest.count()) >
                          kLongRound * static_cast<double>(std::max(own, round_trip_).count()) + static_cast<double>(kQueueSlack.count());
  long_rounds_ = longer ? long_rounds_ + 1 : 0;
  queued_rounds_ = shows_queue(last_, kQueueSamples) ? queued_rounds_ + 1 : 0;
}

void BbrController::measure_loss(const AckedEvent& batch) {
  if (!measuring_ || batch.now - cycle_at_ < Duration(static_cast<std::int64_t>(kMeasureAfter * static_cast<double>(round_trip_.count()))) + kQueue) return;
  phase_packets_ += batch.packets + batch_lost_;
  measured_packets_ += batch.packets + batch_lost_;
  measured_lost_ += batch_lost_;
  if (measured_packets_ < kMeasureMemory) return;
  measured_packets_ /= 2;
  measured_lost_ /= 2;
}

// What the path may lose by itself, as far as was measured: two standard deviations above.
double BbrController::loss_bound() const {
  if (measured_packets_ < kMeasuredPackets) return kMaxMadeUpFor;
  return (measured_lost_ + 1 + 2 * std::sqrt(measured_lost_ + 1)) / measured_packets_;
}

void BbrController::watch_policer(const AckedEvent& batch) {
  if (round_ < policed_until_) return;
  policed_rate_ = kUnlimited;
  if (unpoliced_.rounds++ == 0 || measured_packets_ < kMeasuredPackets) {
    unpoliced_ = {batch.now, batch.delivered, 1, 0, 0};
    return;
  }
  unpoliced_.packets += last_.packets();
  unpoliced_.lost += last_.lost;
  if (unpoliced_.packets < kJudgedPackets || unpoliced_.rounds <= kCycle.size()) return;
  const double loss = static_cast<double>(unpoliced_.lost) / static_cast<double>(unpoliced_.packets);
  const Duration elapsed = std::max<Duration>(batch.now - unpoliced_.since, Duration(1));
  if (loss > loss_bound() + kPolicedLoss && !shows_queue(last_, kQueueSamples)) {
    policed_rate_ = (batch.delivered - unpoliced_.delivered) * 1000000 / static_cast<std::uint64_t>(elapsed.count());
    policed_rounds_ = std::min(std::max(2 * policed_rounds_, kPolicedRounds), kMaxPolicedRounds);
    policed_until_ = round_ + policed_rounds_;
  } else {
    policed_rounds_ = 0;
  }
  unpoliced_ = {};
}

void BbrController::update_bandwidth(const AckedEvent& batch) {
  if (!batch.rate) return;
  if (batch.rate->app_limited && batch.rate->rate < bandwidth_.value()) return;
  bandwidth_.update(batch.rate->rate, round_, batch.now);
}

void BbrController::update_aggregation(const AckedEvent& batch) {
  const auto expected = static_cast<std::uint64_t>(
      static_cast<double>(bandwidth_.value()) * static_cast<double>((batch.now - epoch_at_).count()) * 1e-6);
  if (epoch_acked_ <= expected || epoch_acked_ > kUnlimited / 2) {
    epoch_at_ = batch.now;
    epoch_acked_ = 0;
    extra_acked_.update(std::min(batch.bytes, window_), round_, batch.now);
    epoch_acked_ = batch.bytes;
    return;
  }
  epoch_acked_ += batch.bytes;
  extra_acked_.update(std::min(epoch_acked_ - expected, window_), round_, batch.now);
}

bool BbrController::shows_queue(const Round& round, std::uint32_t samples) const {
  if (round.samples < samples || round_trip_.count() == 0) return false;
  return round.shortest > round_trip_ + std::max<Duration>(round_trip_ / 8, kQueueSlack);
}

// Startup has gone beyond what the path takes.
bool BbrController::overflows(const Round& round, std::uint32_t samples) const {
  return shows_queue(round, samples) ||
         (round.loss_events >= kOverflowEvents && round.packets() >= kOverflowPackets &&
          round.loss() > startup_loss_ + kOverflow);
}

void BbrController::check_full_pipe() {
  pipe_filled_ = overflows(last_, kQueueSamples);
  if (pipe_filled_) {
    startup_saw_queue_ = shows_queue(last_, kQueueSamples);
    return;
  }
  if (last_.packets() >= kLossSamples) startup_loss_ = std::min(startup_loss_, last_.loss());
  if (last_.packets() < kLossSamples && last_.app_limited) return;
  if (static_cast<double>(bandwidth_.value()) >= static_cast<double>(full_bandwidth_) * kGrowth) {
    full_bandwidth_ = bandwidth_.value();
    rounds_without_growth_ = 0;
    return;
  }
  // Who sends in bursts, because the application or a window stops him between them, never sees the whole bandwidth; but
  // he must not go on to burst at three times of what he saw.
  pipe_filled_ = ++rounds_without_growth_ >= (last_.app_limited ? kLimitedRounds : kFullRounds);
}

// A queue that overflows is shared: everybody who fills it has to take less of it (BBRv2's upper bound on inflight).
// Few packets tell nothing: who has the smaller share would give way more often.
void BbrController::adapt_inflight_hi() {
  judged_packets_ += last_.packets();
  judged_lost_ += last_.lost;
  if (judged_packets_ < kJudgedPackets) return;
  const double loss = static_cast<double>(judged_lost_) / static_cast<double>(judged_packets_);
  judged_packets_ = judged_lost_ = 0;
  if (loss > path_loss_ + kCongestiveLoss && shows_queue(last_, kQueueSamples)) {
    const auto less = static_cast<std::uint64_t>(static_cast<double>(std::min(last_.most_in_flight, inflight_hi_)) * kBeta);
    inflight_hi_ = std::max(less, product(1));
    return;
  }
  if (inflight_hi_ == kUnlimited) return;
  inflight_hi_ +=
      std::max(static_cast<std::uint64_t>(static_cast<double>(inflight_hi_) * kInflightHiGrowth), segment_size_);
  if (inflight_hi_ > product(2 * kStartupWindowGain)) inflight_hi_ = kUnlimited;
}

// --- states ---

void BbrController::begin_probing(TimePoint now) {
  state_ = State::kProbeBandwidth;
  cycle_at_ = now;
  cycle_lost_ = measuring_ = false;
}

void BbrController::advance(const AckedEvent& batch) {
  if (state_ == State::kStartup && pipe_filled_) {
    state_ = State::kDrain;
    startup_ended_at_ = batch.now;
  }
  if (state_ == State::kDrain && batch.in_flight <= product(1)) begin_probing(batch.now);
  if (state_ == State::kProbeBandwidth) advance_cycle(batch);
  if (state_ == State::kProbeRoundTrip) return advance_round_trip_probe(batch);
  const bool longer = (long_rounds_ >= kLongRounds && batch.now - probed_at_ >= kMinProbeGap) ||
                      (queued_rounds_ >= kQueuedRounds && batch.now - probed_at_ >= kRoundTripAge / 2);
  if (batch.now - round_trip_at_ < kRoundTripAge && !longer) return;
  if (current_.app_limited || last_.app_limited || round_trip_ < kPacedRoundTrip) {
    // The application leaves gaps that would have shown a shorter one: this is what the path takes now.
    if (last_.samples > 0) round_trip_ = last_.shortest;
    round_trip_at_ = batch.now;
    return;
  }
  state_ = State::kProbeRoundTrip;
  probed_at_ = batch.now;
  long_rounds_ = queued_rounds_ = 0;
  probe_reached_floor_ = false;
  current_.discard_rtt_samples();
}

void BbrController::advance_cycle(const AckedEvent& batch) {
  const bool long_enough = batch.now - cycle_at_ >= round_trip_;
  const double gain = kCycle[cycle_];
  bool over = long_enough;
  if (gain > 1)  // the window may hold less than the probe would put under way
    over = long_enough && (cycle_lost_ || batch.in_flight + batch.bytes >= product(gain) ||
                           batch.now - cycle_at_ >= kMaxProbe * round_trip_);
  if (measuring_) {
    over = static_cast<double>(phase_packets_) >= kMeasuredPackets || batch.now - cycle_at_ >= kMaxMeasure * round_trip_;
  } else if (gain < 1) {
    over = batch.in_flight <= product(1) || batch.now - cycle_at_ >= kMaxDrain * round_trip_;
  }
  if (!over) return;
  // What the probe found shows a round trip later. A path that took so much more has more: go on until it doesn't.
  const bool grew = static_cast<double>(bandwidth_.value()) > static_cast<double>(cycle_bandwidth_) * kProbeGrowth;
  cycle_ = cycle_ == kProbeSeen && grew && !shows_queue(last_, kQueueSamples) ? 0 : (cycle_ + 1) % kCycle.size();
  if (cycle_ == 0) {
    cycle_bandwidth_ = bandwidth_.value();
    cycles_ = (cycles_ + 1) % kMeasureCycles;
  }
  measuring_ = kCycle[cycle_] < 1 && cycles_ == 0 && (path_loss_ > 0 || last_.lost > 0 || cycle_lost_);
  phase_packets_ = 0;
  cycle_at_ = batch.now;
  cycle_lost_ = false;
}

void BbrController::advance_round_trip_probe(const AckedEvent& batch) {
  if (!probe_reached_floor_) {
    if (batch.in_flight > product(kRoundTripProbeGain) + kMinWindow * segment_size_) return;
    probe_reached_floor_ = true;
    probe_done_at_ = batch.now + std::max(kRoundTripProbe, round_trip_);
    current_.discard_rtt_samples();
    return;
  }
  if (batch.now < probe_done_at_) return;
  const Duration seen = std::min(current_.shortest, last_.samples > 0 ? last_.shortest : Duration::max());
  const bool longer = seen != Duration::max() && seen > round_trip_ + std::max<Duration>(round_trip_ / 4, kQueueSlack);
  if (seen != Duration::max()) round_trip_ = seen;
  round_trip_at_ = batch.now;
  if (std::exchange(startup_saw_queue_, false) && longer && batch.now - startup_ended_at_ < kStartupDoubt) {  // it was a longer path, and no queue: on with it
    pipe_filled_ = false;
    full_bandwidth_ = 0;
    rounds_without_growth_ = 0;
  }
  if (pipe_filled_) return begin_probing(batch.now);
  state_ = State::kStartup;
}

// --- what comes out ---

double BbrController::pacing_gain() const {
  switch (state_) {
    case State::kStartup:
      return kStartupGain;
    case State::kDrain:
      return kDrainGain;
    case State::kProbeBandwidth:
      return kCycle[cycle_];
    case State::kProbeRoundTrip:
      return 1;
  }
  return 1;
}

void BbrController::set_outputs(const AckedEvent& batch) {
  const bool paced = round_trip_ >= kPacedRoundTrip;
  const std::uint64_t bandwidth = bandwidth_.value();
  // What arrives is to be as much as the path delivers at most: what it loses is sent on top.
  const double gain = pacing_gain();
  const double made_up_for = measuring_ ? 0 : path_loss_;
  const double rate = std::min(gain * static_cast<double>(bandwidth) / (1 - made_up_for), static_cast<double>(policed_rate_));
  // The window is limit enough for a handful of segments: a sample taken across an outage must not hold them back.
  const double least = static_cast<double>(kMinWindow * segment_size_) * 1e6 / static_cast<double>(round_trip_.count());
  if (!paced) {
    pacing_rate_ = 0;
  } else if (pipe_filled_) {
    pacing_rate_ = static_cast<std::uint64_t>(std::max(rate, least));
  } else {  // the first window's worth in a round trip, and never less than before
    const double first = kStartupGain * static_cast<double>(kFirstWindow) / static_cast<double>(kMinWindow) * least;
    pacing_rate_ = std::max(pacing_rate_, static_cast<std::uint64_t>(std::max(rate, pacing_rate_ == 0 ? first : 0)));
  }

  const Duration queue = paced ? kQueue + std::min<Duration>(round_trip_ / 4, kProbeQueue) : kUnpacedQueue;
  const auto slack =
      static_cast<std::uint64_t>(static_cast<double>(bandwidth) * static_cast<double>(queue.count()) * 1e-6);
  const std::uint64_t share = std::min(kShare * segment_size_, 2 * slack);
  const std::uint64_t floor = kMinWindow * segment_size_;
  // While the bandwidth is not known yet, everything looks like a bunch; so it does where scheduling takes longer than
  // the round trip.
  const std::uint64_t bunch = pipe_filled_ && paced ? extra_acked_.value() : 0;
  const std::uint64_t target = pipe_filled_ ? product(1 / (1 - path_loss_)) + std::max(slack, bunch) + share
                                            : product(kStartupWindowGain) + slack;
  if (pipe_filled_) {
    window_ = std::min(window_ + batch.bytes, target);
  } else if (window_ < target || batch.delivered < kFirstWindow * segment_size_) {
    window_ += batch.bytes;
  }
  window_ = std::min(window_, inflight_hi_);
  if (state_ == State::kProbeRoundTrip) window_ = std::min(window_, product(kRoundTripProbeGain));
  window_ = std::max(window_, floor);
}

std::unique_ptr<CongestionController> make_bbr_controller(const ControllerContext& context) {
  return std::make_unique<BbrController>(context.packet_size, context.phase);
}

}  // namespace kcptun
