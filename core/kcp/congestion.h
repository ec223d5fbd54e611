// How many segments may be under way: the congestion controllers of a conversation.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/settings.h"

namespace kcptun {

/// Told what happens to segments, answers with a window. Values in, value out: no time is read, nothing is sent.
class CongestionController {
 public:
  virtual ~CongestionController() = default;
  /// `segments` were newly acknowledged while the peer offered `peer_window`.
  virtual void handle_acked(std::uint32_t segments, std::uint32_t peer_window) = 0;
  /// Copies were overtaken, `in_flight` before that.
  virtual void handle_overtaken(std::uint32_t in_flight) = 0;
  /// Copies timed out.
  virtual void handle_timed_out() = 0;
  /// What was last found lost was not.
  virtual void handle_spurious() = 0;
  /// Segments that may be past una.
  virtual std::uint32_t window() const = 0;
};

/// nc 1: no congestion window; only the two windows count.
/// nc 0: KCP's classic controller, slow start and additive increase (RFC 5681 in units of segments); a reduction for a
/// loss that was none is taken back (RFC 4015 section 3.2).
std::unique_ptr<CongestionController> make_congestion_controller(const KcpTuning& tuning);

}  // namespace kcptun
