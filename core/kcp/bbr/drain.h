// Drain: empties the queue that Startup filled.
#pragma once

#include <cstdint>

#include "core/kcp/bbr/model.h"
#include "core/kcp/bbr/startup.h"

namespace kcptun::bbr {

/// Factor of the bandwidth at which Drain paces. [BBRv1] Drain: the inverse of Startup's gain empties in a
/// round what a round of Startup queued ([BBR] BBR.DrainPacingGain is 0.5). Lower: the path runs idle.
/// Higher: the queue stays longer.
inline constexpr double kDrainGain = 1 / kStartupGain;

/// True if the queue is empty ([BBR] "Drain"). `in_flight`: bytes.
inline bool is_drained(const Model& model, std::uint64_t in_flight) { return in_flight <= model.bdp(1); }

}  // namespace kcptun::bbr
