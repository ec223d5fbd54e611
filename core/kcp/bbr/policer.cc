#include "core/kcp/bbr/policer.h"

#include <algorithm>
#include <cmath>

namespace kcptun::bbr {
namespace {

// Share of packets, certain, beyond what the path is known to lose that is a suspicion. Linux has 0.2 in all
// (lt_loss_thresh); here the path's own loss is known. Lower: bursts of losses start tests, each of which
// costs a tenth of some round trips. Higher: a policed path loses that much for ever. [sim] policer_test,
// "behind a policer".
constexpr double kSuspicious = 0.05;
// The same before Startup has filled the pipe, which sends up to three times what the path takes. Lower: it
// ends for its own losses. Higher: a bucket that is empty costs more packets. [sim] as kSuspicious.
constexpr double kOverwhelming = 0.3;
// Share of the measured rate that a test sends. Lower: it costs more. Higher: a rate that was measured too
// high still drops. [sim] as kSuspicious.
constexpr double kTestShare = 0.9;
// Packets that a measurement and a test take. Lower: chance decides. Higher: they last longer. [sim] as
// kSuspicious.
constexpr std::uint64_t kSamplePackets = 64;
// Packets of a test that has shown no policer. Lower: one that drops little is missed. Higher: a test costs
// more.
constexpr std::uint64_t kMaxPackets = 256;
// Packets of a test that ran out of time, at least. Lower: as above. Higher: slow paths are never tested.
constexpr std::uint64_t kFewPackets = 24;
// Round trips, the longest that a measurement and a test last. Lower: slow paths are never tested. Higher:
// they send less for longer.
constexpr int kMaxMeasuring = 3;
constexpr int kMaxTest = 6;
// Round trips after which a test begins to count: what left before arrives until then.
constexpr double kTestAfter = 1.25;
// Share of packets by which a test must lose less, and the standard deviations of both figures on top. Lower:
// chance makes a lossy path a policed one. Higher: a policer that drops little is not recognised. [sim] as
// kSuspicious.
constexpr double kFewer = 0.02;
constexpr double kFewerDeviations = 2;
// Time without another suspicion after a test that found no policer. Lower: a path whose loss varies is
// tested all the time. Higher: a policer that a test missed drops for longer.
constexpr Duration kPause = seconds(2);

Duration times(double factor, Duration time) {
  return Duration(static_cast<std::int64_t>(factor * static_cast<double>(time.count())));
}

// Rounds of slow paths have few samples, so the tally counts, too.
bool queued(const Model& model, const Tally& tally) {
  return model.shows_queue(model.last(), kQueueSamples) ||
         model.shows_queue(model.current(), kQueueSamples) ||
         (tally.samples >= kQueueSamples && model.is_queued(tally.min_rtt));
}

bool loses_fewer(const Tally& test, const Tally& before) {
  const auto tested = static_cast<double>(test.packets), sent = static_cast<double>(before.packets);
  const double loss = static_cast<double>(test.lost + before.lost) / (tested + sent);
  const double deviation = std::sqrt(loss * (1 - loss) * (1 / tested + 1 / sent));
  return before.loss() - test.loss() > kFewer + kFewerDeviations * deviation;
}

}  // namespace

std::uint64_t Policer::rate() const {
  if (state_ == State::kTesting)
    return static_cast<std::uint64_t>(static_cast<double>(arrived_) * kTestShare);
  if (state_ == State::kLimiting) return policed_.value();
  return CongestionController::kUnlimited;
}

void Policer::handle_batch(const Model& model, LossModel& losses, const Batch& batch, bool filled) {
  tally_.add(batch);
  switch (state_) {
    case State::kWatching:
      return watch(model, losses, batch, filled);
    case State::kMeasuring:
      return measure(model, batch);
    case State::kTesting:
      return test(model, losses, batch);
    case State::kLimiting:
      return limit(model, batch);
  }
}

void Policer::watch_again(const AckedEvent& acked, Duration pause) {
  state_ = State::kWatching;
  quiet_until_ = acked.now + pause;
  tally_.restart(acked);
}

void Policer::watch(const Model& model, const LossModel& losses, const Batch& batch, bool filled) {
  if (batch.acked.now < quiet_until_ || queued(model, tally_) || !model.paced())
    return tally_.restart(batch.acked);
  const double known = losses.measured() ? losses.bound() : filled ? 0 : losses.bound();
  const double limit = known + (filled ? kSuspicious : kOverwhelming);
  if (tally_.certain_losses() > limit * static_cast<double>(tally_.packets))
    return begin_measuring(batch.acked);
  if (tally_.packets >= kJudgedPackets) tally_.restart(batch.acked);
}

void Policer::begin_measuring(const AckedEvent& acked) {
  state_ = State::kMeasuring;
  tally_.restart(acked);
}

void Policer::measure(const Model& model, const Batch& batch) {
  const Duration elapsed = batch.acked.now - tally_.since;
  if (elapsed < model.min_rtt()) return;
  if (tally_.packets < kSamplePackets && elapsed < kMaxMeasuring * model.min_rtt()) return;
  before_ = tally_;
  arrived_ = tally_.rate(batch.acked);
  if (queued(model, tally_)) return watch_again(batch.acked, kPause);
  if (tally_.packets < kFewPackets || tally_.loss() < kSuspicious)
    return watch_again(batch.acked, Duration(0));
  state_ = State::kTesting;
  state_at_ = batch.acked.now;
  counts_ = false;
}

void Policer::test(const Model& model, LossModel& losses, const Batch& batch) {
  const Duration elapsed = batch.acked.now - state_at_;
  if (!counts_) {
    if (elapsed < times(kTestAfter, model.min_rtt()) + kQueueSlack) return;
    counts_ = true;
    return tally_.restart(batch.acked);
  }
  const bool decided =
      tally_.packets >= kMaxPackets || (tally_.packets >= kSamplePackets && loses_fewer(tally_, before_));
  if (!decided && elapsed < kMaxTest * model.min_rtt()) return;
  losses.measure(tally_.packets, tally_.lost);
  if (tally_.packets < kFewPackets || !loses_fewer(tally_, before_)) return watch_again(batch.acked, kPause);
  state_ = State::kLimiting;
  // Where the test lost much, the bucket was not empty before, and what arrived now is the policer's rate.
  policed_.begin(batch.acked,
                 tally_.loss() > kSuspicious ? std::min(arrived_, tally_.rate(batch.acked)) : arrived_,
                 std::min(tally_.loss(), losses.bound()));
}

void Policer::limit(const Model& model, const Batch& batch) {
  policed_.handle_batch(model, batch);
  if (tally_.packets >= kJudgedPackets) tally_.restart(batch.acked);
  if (policed_.misjudged()) return begin_measuring(batch.acked);
  if (policed_.gone() || queued(model, tally_)) return watch_again(batch.acked, Duration(0));
}

}  // namespace kcptun::bbr
