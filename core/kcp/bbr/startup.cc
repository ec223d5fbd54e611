#include "core/kcp/bbr/startup.h"

#include <utility>

namespace kcptun::bbr {
namespace {

// Factor by which the bandwidth grows in a round while the pipe is not full. [BBR] "Exiting Acceleration
// Based on Bandwidth Plateau". Lower: noise passes for growth, and Startup floods the queue. Higher: it ends
// too early.
constexpr double kFullPipeGrowth = 1.25;
// Rounds without growth after which the pipe is full. [BBR] as kFullPipeGrowth. Lower: one bad round ends
// Startup. Higher: it floods the queue for longer.
constexpr std::uint32_t kFullRounds = 3;
// The same, where the application or a window limits the sender: it never sees the whole bandwidth between
// its bursts, but must not burst at kStartupGain for ever ([BBR] ignores such rounds). [sim] goodput_test,
// "windows that follow the path grow with it, and no further than it takes".
constexpr std::uint32_t kLimitedRounds = 5;
// Share of packets that a round loses beyond earlier rounds when a path without a queue overflows: Startup
// sends up to twice what it takes. [BBR] BBR.LossThresh is 2 %, but less may be lost acknowledgements, which
// Go's programs send in bunches. Lower: those end Startup early. Higher: shallow queues are never noticed.
// [lab] "ours-to-debian".
constexpr double kOverflow = 0.3;
// Packets of a round that may show it. Lower: few losses decide. Higher: slow paths overflow for longer.
// [lab] as kOverflow.
constexpr std::uint64_t kOverflowPackets = 64;
// Losses that do not touch each other, in such a round. [BBR] BBRStartupFullLossCnt is 6. Lower: one burst
// ends Startup. Higher: slow paths overflow for longer. [lab] "RTT 50 ms, 100 Mbit/s, 1 % loss in bursts of
// 8".
constexpr std::uint32_t kOverflowEvents = 8;
// Bytes per second. Below, 4 packets take 20 ms and more. Higher: jitter passes for a queue. Lower: Startup
// fills a slow path's queue with whole windows. [sim] slow_uplink_test.
constexpr std::uint64_t kSlowRate = 250'000;
// Samples in a row, and their time beyond two round trips, that show the queue of such a path. Lower: the
// first burst ends Startup on paths that are just above. Higher: what is in the queue then takes longer.
// [sim] as kSlowRate.
constexpr std::uint32_t kLateSamples = 4;
constexpr Duration kLateTime = milliseconds(100);
// Time for which a queue that ended Startup may turn out to have been a longer path. Lower: Startup ends for
// good on a path that changes. Higher: an old path's Startup is resumed. [sim] path_change_test, "a path that
// becomes longer while the sender still looks for its bandwidth has all of it found".
constexpr Duration kDoubt = seconds(5);

}  // namespace

bool Startup::overflows(const Model& model, const Round& round, std::uint32_t samples) const {
  return model.shows_queue(round, samples) ||
         (round.loss_events >= kOverflowEvents && round.packets() >= kOverflowPackets &&
          round.loss() > loss_ + kOverflow);
}

// The first window alone takes a slow path seconds, in which no round ends.
bool Startup::floods_slow_path(const Model& model, const AckedEvent& acked) {
  if (!acked.rtt || !model.is_queued(*acked.rtt)) {
    if (acked.rtt) late_ = 0;
    return false;
  }
  if (late_++ == 0) late_since_ = acked.now;
  return model.bandwidth() < kSlowRate && late_ >= kLateSamples &&
         acked.now - late_since_ >= 2 * model.min_rtt() + kLateTime;
}

void Startup::handle_batch(const Model& model, const AckedEvent& acked) {
  if (pipe_filled_) return;
  const bool slow = floods_slow_path(model, acked);
  if (!slow && !overflows(model, model.current(), kEarlySamples)) return;
  pipe_filled_ = true;
  ended_for_queue_ = slow || model.shows_queue(model.current(), kEarlySamples);
}

void Startup::handle_round(const Model& model) {
  const Round& last = model.last();
  pipe_filled_ = overflows(model, last, kQueueSamples);
  if (pipe_filled_) {
    ended_for_queue_ = model.shows_queue(last, kQueueSamples);
    return;
  }
  if (last.packets() >= kLossSamples) loss_ = std::min(loss_, last.loss());
  if (last.packets() < kLossSamples && last.app_limited) return;
  if (static_cast<double>(model.bandwidth()) >= static_cast<double>(full_bandwidth_) * kFullPipeGrowth) {
    full_bandwidth_ = model.bandwidth();
    rounds_without_growth_ = 0;
    return;
  }
  pipe_filled_ = ++rounds_without_growth_ >= (last.app_limited ? kLimitedRounds : kFullRounds);
}

void Startup::handle_probe(bool longer_path, TimePoint now) {
  if (!std::exchange(ended_for_queue_, false) || !longer_path || now - exited_at_ >= kDoubt) return;
  pipe_filled_ = false;
  full_bandwidth_ = 0;
  rounds_without_growth_ = 0;
}

}  // namespace kcptun::bbr
