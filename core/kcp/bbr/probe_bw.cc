#include "core/kcp/bbr/probe_bw.h"

#include <array>

#include "core/kcp/bbr/loss_model.h"

namespace kcptun::bbr {
namespace {

// Factors of the bandwidth. [BBRv1] ProbeBW; [BBR] "ProbeBW_UP" keeps 1.25. A larger probe fills the queue
// further, a smaller one does not show through jitter; the phase after it must take away as much as the probe
// added.
constexpr std::array<double, kCycleLength> kGains{1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0};
// The phase at whose end the bandwidth shows what the probe found: that takes a round trip. Earlier: each
// probe seems to find nothing. Later: a path with more bandwidth is filled later. [sim] as kProbeGrowth.
constexpr std::size_t kProbeShows = 2;
// Factor by which a probe that found more raised the bandwidth: the next probe follows at once. Lower: noise
// keeps the probes going. Higher: more bandwidth is found in steps of a cycle. [sim] path_change_test, "a
// path that becomes five times as long is measured within a second or two, and filled again".
constexpr double kProbeGrowth = 1.1;
// Round trips after which a probe ends although less is in flight than it may be: a window, or the
// application, limits the sender. Lower: the probe fills nothing. Higher: it stands in the queue. [sim]
// path_change_test, "on a long path a probe for more bandwidth ends, and leaves no standing queue".
constexpr int kMaxProbe = 2;
// Round trips for which the phase after it sends less. Lower: a queue that was there before remains. Higher:
// the path runs idle where others keep the queue full. [sim] as kMaxProbe.
constexpr int kMaxDrain = 2;
// Cycles, of which one measures. Lower: sending less costs more goodput. Higher: loss that begins is sent on
// top later. [lab] "RTT 50 ms, 100 Mbit/s, 2 % loss".
constexpr std::uint32_t kMeasureCycles = 8;
// Round trips after which that phase begins to count: what left before arrives until then. Lower: the probe's
// own losses count. Higher: the phase lasts longer. [lab] as kMeasureCycles.
constexpr double kMeasureAfter = 1.5;
// Round trips, the longest that phase lasts. Lower: slow paths measure nothing. Higher: they send less for
// longer. [lab] as kMeasureCycles.
constexpr int kMaxMeasure = 6;

}  // namespace

ProbeBw::ProbeBw(std::uint32_t phase) : phase_(2 + phase % (kCycleLength - 2)), cycle_(kMeasureCycles - 1) {}

void ProbeBw::begin(TimePoint now) {
  phase_at_ = now;
  phase_lost_ = measuring_ = false;
}

double ProbeBw::gain() const { return kGains[phase_]; }

bool ProbeBw::counts(const Model& model, TimePoint now) const {
  const auto delay = static_cast<std::int64_t>(kMeasureAfter * static_cast<double>(model.min_rtt().count()));
  return measuring_ && now - phase_at_ >= Duration(delay) + kQueueTarget;
}

bool ProbeBw::phase_over(const Model& model, const AckedEvent& acked) const {
  const Duration elapsed = acked.now - phase_at_;
  if (measuring_)
    return static_cast<double>(phase_packets_) >= kMeasuredPackets ||
           elapsed >= kMaxMeasure * model.min_rtt();
  if (gain() < 1) return acked.in_flight <= model.bdp(1) || elapsed >= kMaxDrain * model.min_rtt();
  if (elapsed < model.min_rtt()) return false;
  if (gain() == 1) return true;
  // The window may hold less than the probe would put in flight.
  return phase_lost_ || acked.in_flight + acked.bytes >= model.bdp(gain()) ||
         elapsed >= kMaxProbe * model.min_rtt();
}

void ProbeBw::advance(const Model& model, const AckedEvent& acked, double path_loss) {
  if (!phase_over(model, acked)) return;
  const bool grew =
      static_cast<double>(model.bandwidth()) > static_cast<double>(cycle_bandwidth_) * kProbeGrowth;
  const bool again = phase_ == kProbeShows && grew && !model.shows_queue(model.last(), kQueueSamples);
  phase_ = again ? 0 : (phase_ + 1) % kCycleLength;
  if (phase_ == 0) {
    cycle_bandwidth_ = model.bandwidth();
    cycle_ = (cycle_ + 1) % kMeasureCycles;
  }
  measuring_ = gain() < 1 && cycle_ == 0 && (path_loss > 0 || model.last().lost > 0 || phase_lost_);
  phase_packets_ = 0;
  phase_at_ = acked.now;
  phase_lost_ = false;
}

}  // namespace kcptun::bbr
