// What BBR measures of its path: the bandwidth, the minimum round trip, and the facts of each round trip.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/time.h"
#include "core/kcp/congestion.h"
#include "core/kcp/windowed_max.h"

namespace kcptun::bbr {

// Sources of the constants of this folder:
//   [BBR]     draft-ietf-ccwg-bbr, by the name of its parameter or section
//   [BBRv1]   draft-cardwell-iccrg-bbr-congestion-control-00, where [BBR] has another value or none
//   [lab]     a row of docs/evidence/lab.md
//   [sim]     a test in tests/sim, by its name
// A constant with [lab] or [sim] alone was chosen for this project, and that row or test holds it in place.

/// Packets. A round with fewer tells nothing about the share of loss: one packet would be 3 % or more. Lower:
/// single losses pass for the path's loss. Higher: slow paths never learn theirs. [sim] goodput_test, "a bulk
/// stream makes the most of paths that lose packets".
inline constexpr std::uint64_t kLossSamples = 32;
/// Round trip samples. The minimum of fewer is often late for other reasons than a queue. Lower: jitter
/// passes for a queue and ends Startup early. Higher: short rounds never show their queue. [lab] "RTT 50 ms,
/// 100 Mbit/s, no loss".
inline constexpr std::uint32_t kQueueSamples = 8;
/// Round trip samples that suffice while a round is not over; more, because they all come from its beginning.
/// Lower: the first burst of a round passes for a queue. Higher: Startup overflows the queue for longer.
/// [lab] as kQueueSamples.
inline constexpr std::uint32_t kEarlySamples = 32;
/// Time by which a round must exceed the minimum round trip to show a queue. Receivers and timers add up to
/// this. Lower: their delay passes for a queue. Higher: a queue is noticed later. [lab] "a 64-byte ping
/// beside a bulk stream".
inline constexpr Duration kQueueSlack = milliseconds(4);
/// Time. Paths with a shorter round trip (loopback, fast LANs) are not paced, because timers are coarser
/// (Pacer). Lower: a paced loopback loses most of its rate. Higher: short paths get bursts. [sim] none;
/// docs/evidence/benchmarks.md.
inline constexpr Duration kPacedRoundTrip = milliseconds(1);
/// Time that data may stand in the path's queue, per session. Lower: jitter leaves the path idle. Higher:
/// other traffic waits. [lab] "a 64-byte ping beside a bulk stream", p99 at most 40 ms.
inline constexpr Duration kQueueTarget = milliseconds(10);
/// Multiple of the bdp that Startup may have in flight. [BBR] BBR.DefaultCwndGain: the smallest that lets the
/// rate double each round. Lower: Startup takes more rounds. Higher: it overflows the queue by more.
inline constexpr double kStartupWindowGain = 2.0;
/// Phases of ProbeBW's cycle, each about a round trip. [BBRv1] ProbeBW. Fewer: the path is probed more often,
/// and its queue is fuller. More: new bandwidth is found later.
inline constexpr std::size_t kCycleLength = 8;

/// One round trip's facts.
struct Round {
  std::uint64_t acked = 0;  // packets
  std::uint64_t lost = 0;   // packets
  std::uint32_t loss_events = 0;
  std::uint32_t samples = 0;           // of the round trip time
  Duration min_rtt = Duration::max();  // of these
  bool app_limited = false;
  std::uint64_t max_in_flight = 0;  // bytes

  void discard_rtt_samples() { samples = 0, min_rtt = Duration::max(); }
  std::uint64_t packets() const { return acked + lost; }
  double loss() const {
    return packets() > 0 ? static_cast<double>(lost) / static_cast<double>(packets()) : 0;
  }
};

/// Values in, values out. Knows no state of the state machine. Of each batch it takes, in this order:
/// count_lost(), count_acked(), end_round(), update_bandwidth(), update_extra_acked().
class Model {
 public:
  Model();

  void count_lost(const LostEvent& lost);
  /// Takes the samples of the round trip, too.
  void count_acked(const AckedEvent& acked);
  /// True if the batch ends a round trip ([BBR] "BBR.round_count"): last() is that round, current() the next
  /// one.
  bool end_round(const AckedEvent& acked);
  void update_bandwidth(const AckedEvent& acked);
  /// `window`: bytes; an excess cannot be larger.
  void update_extra_acked(const AckedEvent& acked, std::uint64_t window);

  /// The bandwidth is `rate`: forgets what was measured before, and what packets that left before will show.
  void set_bandwidth(std::uint64_t rate, TimePoint now);
  /// The minimum round trip from now on.
  void set_min_rtt(Duration rtt) { min_rtt_ = rtt; }
  /// The minimum round trip is as good as one that was measured at `now`.
  void renew_min_rtt(TimePoint now) { min_rtt_at_ = now; }
  /// What arrives from now on tells the current round's minimum.
  void discard_rtt_samples() { current_.discard_rtt_samples(); }

  const Round& current() const { return current_; }
  const Round& last() const { return last_; }
  std::uint64_t round_count() const { return round_count_; }
  /// Bytes per second, the maximum of the last rounds.
  std::uint64_t bandwidth() const { return bandwidth_.value(); }
  Duration min_rtt() const { return min_rtt_; }  // 0: no sample yet
  TimePoint min_rtt_at() const { return min_rtt_at_; }
  bool paced() const { return min_rtt_ >= kPacedRoundTrip; }
  /// The bandwidth-delay product times `gain`, in bytes.
  std::uint64_t bdp(double gain) const;
  /// Bytes that `time` takes at the bandwidth.
  std::uint64_t carried_in(Duration time) const;
  /// Bytes acknowledged beyond what the bandwidth explains: receivers and links aggregate acknowledgements
  /// ([BBR] "BBR.extra_acked").
  std::uint64_t extra_acked() const { return extra_acked_.value(); }
  /// True if even the fastest of `samples` or more acknowledgements of the round took longer than the empty
  /// path does.
  bool shows_queue(const Round& round, std::uint32_t samples) const {
    return round.samples >= samples && is_queued(round.min_rtt);
  }
  /// True if the smallest of some round trips is longer than the empty path's.
  bool is_queued(Duration rtt) const;

 private:
  WindowedMax<std::uint64_t> bandwidth_;
  std::uint64_t old_rounds_until_ = 0;  // round count; samples of earlier rounds show another bandwidth
  Duration min_rtt_{0};
  TimePoint min_rtt_at_{};
  std::uint64_t round_count_ = 0;
  std::uint64_t round_ends_at_ = 0;  // delivered bytes
  Round current_;
  Round last_;

  WindowedMax<std::uint64_t> extra_acked_;
  TimePoint extra_acked_since_{};
  std::uint64_t extra_acked_delivered_ = 0;  // since then
};

}  // namespace kcptun::bbr
