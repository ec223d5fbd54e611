// Drain: empties the queue that Startup filled.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/kcp/bbr/model.h"
#include "core/kcp/bbr/startup.h"

namespace kcptun::bbr {

/// Factor of the bandwidth at which Drain paces. [BBRv1] Drain: the inverse of Startup's gain empties in a
/// round what a round of Startup queued ([BBR] BBR.DrainPacingGain is 0.5). Lower: the path runs idle.
/// Higher: the queue stays longer.
inline constexpr double kDrainGain = 1 / kStartupGain;

/// Bytes in flight with which the queue is empty ([BBR] "Drain"), and the window of Drain on slow paths.
/// `min_window`: bytes.
inline std::uint64_t drained_window(const Model& model, std::uint64_t min_window) {
  return std::max(model.bdp(1), min_window);
}

}  // namespace kcptun::bbr
