#include "core/kcp/bbr/probe_rtt.h"

namespace kcptun::bbr {
namespace {

// Time for which a minimum counts. [BBR] BBR.MinRTTFilterLen. Lower: probes cost more goodput. Higher: a
// longer path that shows in nothing else keeps its small window.
constexpr Duration kMinRttAge = seconds(10);
// Time for which the queue is kept empty, and a round trip at least. [BBR] BBR.ProbeRTTDuration. Lower:
// sessions that share a queue do not empty it together. Higher: the probe costs more goodput.
constexpr Duration kProbeTime = milliseconds(200);
// Factor by which a round must exceed what the bytes in flight explain. Lower: jitter starts probes. Higher:
// a path that becomes a little longer is filled late. [sim] path_change_test, "a path that becomes five times
// as long is measured within a second or two, and filled again".
constexpr double kLongRound = 1.25;
// Such rounds in a row that start a probe. Lower: one delay starts it. Higher: the path is idle for longer.
// [sim] as kLongRound.
constexpr std::uint32_t kLongRounds = 3;
// Rounds in a row with a queue that sending less did not empty: two cycles of ProbeBW. Lower: each probe of
// the bandwidth starts one. Higher: a path that is a little longer counts as a queue for longer. [sim] as
// kLongRound.
constexpr std::uint32_t kQueuedRounds = 2 * kCycleLength;
// Time between probes that long rounds start, and between those that a queue starts. Lower: somebody else's
// queue makes this session send half most of the time. [lab] "a tunnel beside a TCP CUBIC flow, RTT 50 ms".
constexpr Duration kLongRoundsGap = seconds(2);
constexpr Duration kQueuedRoundsGap = kMinRttAge / 2;

}  // namespace

void ProbeRtt::handle_round(const Model& model, std::uint64_t window) {
  const std::uint64_t bandwidth = model.bandwidth();
  const Duration own = bandwidth == 0 ? Duration(0) : Duration(window * 1000000 / bandwidth);
  const bool queue = model.shows_queue(model.last(), kQueueSamples);
  const bool longer = queue && bandwidth > 0 &&
                      static_cast<double>(model.last().min_rtt.count()) >
                          kLongRound * static_cast<double>(std::max(own, model.min_rtt()).count()) +
                              static_cast<double>(kQueueSlack.count());
  long_rounds_ = longer ? long_rounds_ + 1 : 0;
  queued_rounds_ = queue ? queued_rounds_ + 1 : 0;
}

bool ProbeRtt::due(const Model& model, TimePoint now) const {
  return now - model.min_rtt_at() >= kMinRttAge ||
         (long_rounds_ >= kLongRounds && now - began_at_ >= kLongRoundsGap) ||
         (queued_rounds_ >= kQueuedRounds && now - began_at_ >= kQueuedRoundsGap);
}

void ProbeRtt::begin(Model& model, TimePoint now) {
  began_at_ = now;
  long_rounds_ = queued_rounds_ = 0;
  reached_floor_ = false;
  model.discard_rtt_samples();
}

ProbeRtt::Outcome ProbeRtt::advance(Model& model, const AckedEvent& acked, std::uint64_t min_window) {
  if (!reached_floor_) {
    if (acked.in_flight > model.bdp(kProbeRttGain) + min_window) return Outcome::kGoesOn;
    reached_floor_ = true;
    over_at_ = acked.now + std::max(kProbeTime, model.min_rtt());
    model.discard_rtt_samples();
    return Outcome::kGoesOn;
  }
  if (acked.now < over_at_) return Outcome::kGoesOn;
  const Duration last = model.last().samples > 0 ? model.last().min_rtt : Duration::max();
  const Duration measured = std::min(model.current().min_rtt, last);
  model.renew_min_rtt(acked.now);
  if (measured == Duration::max())
    return Outcome::kMeasured;  // nothing arrived that tells it: the old one stays
  const bool longer = measured > model.min_rtt() + std::max<Duration>(model.min_rtt() / 4, kQueueSlack);
  model.set_min_rtt(measured);
  return longer ? Outcome::kPathIsLonger : Outcome::kMeasured;
}

}  // namespace kcptun::bbr
