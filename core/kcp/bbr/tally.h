// What arrived and what was lost since some time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/kcp/congestion.h"

namespace kcptun::bbr {

/// A batch of acknowledgements, and the losses that were found with it.
struct Batch {
  const AckedEvent& acked;
  std::uint32_t lost = 0;    // packets
  std::uint32_t events = 0;  // losses that do not touch each other
};

/// Counts from one batch to another. Its rate is an average, so it has no bias, unlike a maximum of samples.
struct Tally {
  TimePoint since{};
  std::uint64_t delivered = 0;  // bytes, at `since`
  std::uint64_t packets = 0;    // arrived and lost
  std::uint64_t lost = 0;
  std::uint64_t events = 0;
  std::uint32_t samples = 0;           // of the round trip time
  Duration min_rtt = Duration::max();  // of these

  /// Counts what comes after `acked`.
  void restart(const AckedEvent& acked) {
    *this = Tally();
    since = acked.now;
    delivered = acked.delivered;
  }
  void add(const Batch& batch) {
    packets += batch.acked.packets + batch.lost;
    lost += batch.lost;
    events += batch.events;
    if (!batch.acked.rtt) return;
    ++samples;
    min_rtt = std::min(min_rtt, *batch.acked.rtt);
  }
  double loss() const { return packets > 0 ? static_cast<double>(lost) / static_cast<double>(packets) : 0; }
  /// Losses that are certain, at three standard deviations. Those that touch each other are one event, so
  /// that a path that loses in bursts has a wide deviation.
  double certain_losses() const {
    if (events == 0) return 0;
    return static_cast<double>(lost) * (1 - 3 / std::sqrt(static_cast<double>(events)));
  }
  /// Bytes per second that arrived until `acked`.
  std::uint64_t rate(const AckedEvent& acked) const {
    const auto elapsed = std::max<std::int64_t>((acked.now - since).count(), 1);
    return (acked.delivered - delivered) * 1000000 / static_cast<std::uint64_t>(elapsed);
  }
};

}  // namespace kcptun::bbr
