// ProbeRTT: lets the queue run empty for a moment, so that the minimum round trip shows.
#pragma once

#include <cstdint>

#include "core/kcp/bbr/model.h"

namespace kcptun::bbr {

/// Share of the bdp that is in flight meanwhile. [BBR] BBR.ProbeRTTCwndGain. Lower: the probe costs more
/// goodput. Higher: other sessions' queue hides the minimum.
inline constexpr double kProbeRttGain = 0.5;

/// Decides when the minimum round trip is measured anew, and when the measurement is over. It is due when the
/// minimum is old, and earlier when rounds take longer than a queue of this session explains: the path has
/// become longer, or the queue is somebody else's, and the window is too small for either.
class ProbeRtt {
 public:
  enum class Outcome : std::uint8_t { kGoesOn, kMeasured, kPathIsLonger };

  /// A round has ended. `window`: bytes that may be in flight.
  void handle_round(const Model& model, std::uint64_t window);
  bool due(const Model& model, TimePoint now) const;
  /// The state machine enters ProbeRTT.
  void begin(Model& model, TimePoint now);
  /// Sets the minimum round trip when the probe is over. `min_window`: bytes.
  Outcome advance(Model& model, const AckedEvent& acked, std::uint64_t min_window);

 private:
  std::uint32_t long_rounds_ = 0;    // in a row, that took longer than a queue of this session explains
  std::uint32_t queued_rounds_ = 0;  // in a row, that showed a queue
  TimePoint began_at_{};
  bool reached_floor_ = false;
  TimePoint over_at_{};  // once the floor is reached
};

}  // namespace kcptun::bbr
