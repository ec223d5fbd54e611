// Which of the peer's segments prove that a packet of some size has arrived (Kcp::write_mtu_probe).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/time.h"
#include "core/kcp/segment.h"

namespace kcptun {

/// Knows the last probe only. Two things answer it: an acknowledgement with its time stamp, which kcp-go
/// leaves out when others follow in the same flush, and the window, told because of the probe's WASK. The
/// latter is no proof while it may be the answer to another WASK, nor where the window was closed, or nearly
/// so, and is told to be open again.
class MtuProbeVerifier {
 public:
  /// A probe with this time stamp leaves.
  void begin(std::uint32_t ts, std::uint32_t peer_window) {
    ts_ = ts;
    min_window_ = peer_window;
    answered_ = false;
  }
  /// A WASK leaves that is no probe's.
  void handle_ping_sent(TimePoint now) { asked_at_ = now; }
  /// A segment arrived. `timeout`: that of a retransmission.
  void handle_segment(TimePoint now, const Segment& segment, Duration timeout) {
    if (!ts_) return;
    const bool echo = segment.command == KcpCommand::kAck && segment.ts == *ts_;
    const bool told = segment.command == KcpCommand::kWindowUpdate && segment.window <= 2 * min_window_ &&
                      (!asked_at_ || now - *asked_at_ > kStrayAnswers * timeout);
    min_window_ = std::min<std::uint32_t>(min_window_, segment.window);
    if (!echo && !told) return;
    ts_.reset();
    answered_ = true;
  }
  /// True, once, if the last probe has been answered.
  bool take_answer() { return std::exchange(answered_, false); }

 private:
  static constexpr int kStrayAnswers = 3;  // time-outs within which the answer to a WASK comes, if any does

  std::optional<std::uint32_t> ts_;    // of the probe that is not answered
  std::uint32_t min_window_ = 0;  // of the peer since that left
  std::optional<TimePoint> asked_at_;
  bool answered_ = false;
};

}  // namespace kcptun
