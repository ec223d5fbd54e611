// What one direction of an emulated path does to packets: when each comes out, or why it never does.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/base/random.h"

namespace kcptun::lab {

/// The caller's clock in nanoseconds, any origin. A microsecond would be 4 % of a packet's time at 500
/// Mbit/s.
struct LinkClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<LinkClock>;
  static constexpr bool is_steady = true;
};
using LinkDuration = LinkClock::duration;
using LinkTime = LinkClock::time_point;

/// One direction. A packet passes, in this order: black hole, MTU, policer, queue and rate (the bottleneck),
/// loss, delay. So a lost packet has used the bottleneck, as on a path whose last hop is the bad one.
struct LinkSettings {
  LinkDuration delay{0};     // one way, without queue and serialisation
  LinkDuration jitter{0};    // up to so much more, in waves: packets keep their order
  std::uint64_t rate = 0;    // bytes per second of whole IP packets, 0: no limit
  std::uint64_t queue = 0;   // bytes that may wait for the rate, the packet on the wire included; tail drop
  std::uint64_t police = 0;  // bytes per second of a policer, which drops what exceeds them; 0: there is none
  std::uint64_t bucket = 0;  // bytes that it lets through at once; full at first
  double loss = 0;           // probability of each packet, independent
  double burst_loss = 0;     // share of all packets lost in bursts, at most burst_length / (burst_length + 1)
  double burst_length = 1;   // mean packets of a burst, 1 or more
  double reorder = 0;        // probability that a packet is held back, so that later ones overtake it
  LinkDuration reorder_delay{0};  // held back so long
  std::uint32_t mtu = 0;          // larger packets are dropped, 0: none
  bool fragments = false;   // but the caller cuts those that allow it, and offers their parts (fragments.h)
  bool black_hole = false;  // nothing passes
};

enum class Fate { kPasses, kLost, kPoliced, kQueueFull, kTooBig, kBlackHole };

/// One direction in virtual time. Knows sizes and times, no packets and no clock; one call per packet drives
/// it. Its decisions depend on the seed, the settings and the order of packets; loss, bursts and reordering
/// each draw their own numbers, so that packet n has the same fate whatever the other settings are. O(1)
/// state.
class LinkModel {
 public:
  struct Counters {
    std::uint64_t offered = 0, offered_bytes = 0;  // all that came
    std::uint64_t carried = 0, carried_bytes = 0;  // of these, what comes out
    std::uint64_t lost = 0;                        // independent and in bursts
    std::uint64_t policed = 0;
    std::uint64_t queue_drops = 0;
    std::uint64_t too_big = 0;
    std::uint64_t black_holed = 0;
    std::uint64_t reordered = 0;  // of the carried ones, held back
    std::uint64_t max_queue = 0;  // bytes
  };

  struct Verdict {
    Fate fate;
    LinkTime out{};  // with kPasses: when the packet arrives
  };

  explicit LinkModel(std::uint64_t seed);

  /// A packet of `size` bytes enters. REQUIRES: `now` never falls.
  Verdict offer(LinkTime now, std::uint32_t size);

  const LinkSettings& settings() const { return settings_; }
  /// For packets from now on; those inside keep their times. What waits for the bottleneck is re-timed for no
  /// one: after a change of rate the old queue drains at the old rate.
  void set(const LinkSettings& settings) { settings_ = settings; }

  /// Bytes that wait for the bottleneck, the rest of the packet on the wire included.
  std::uint64_t queued(LinkTime now) const;
  const Counters& counters() const { return counters_; }
  void reset_counters() { counters_ = {}; }

 private:
  std::optional<LinkTime> through_bottleneck(LinkTime now, std::uint32_t size);
  bool policed(LinkTime now, std::uint32_t size);
  bool lost();
  LinkDuration jitter_at(LinkTime when) const;

  LinkSettings settings_;
  std::uint64_t seed_;
  Random loss_random_, burst_random_, reorder_random_;
  bool in_burst_ = false;
  LinkTime free_at_{LinkTime::min()};  // when the bottleneck will have sent all that it took
  std::uint64_t free_rate_ = 0;        // at this rate
  double spent_ = 0;                   // bytes that are missing in the bucket
  LinkTime refilled_at_{};             // when spent_ was true
  Counters counters_;
};

}  // namespace kcptun::lab
