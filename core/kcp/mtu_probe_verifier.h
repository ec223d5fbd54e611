// Which of the peer's segments prove that an MTU probe has arrived (Kcp::write_mtu_probe).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/time.h"
#include "core/kcp/segment.h"

namespace kcptun {

/// Knows the last probe only. It is answered by an acknowledgement with its time stamp, which kcp-go omits
/// when others follow in the same flush, or by a WINS in response to the probe's WASK. A WINS proves nothing
/// while it may answer another WASK, or if the window was closed, or nearly so, and the peer may advertise on
/// its own that it is open again.
class MtuProbeVerifier {
 public:
  /// A probe with this time stamp leaves.
  void begin(std::uint32_t ts, std::uint32_t peer_window) {
    ts_ = ts;
    min_window_ = peer_window;
    answered_ = false;
  }
  /// A WASK of a ping leaves.
  void handle_ping_sent(TimePoint now) { pinged_at_ = now; }
  /// A segment arrived. `timeout`: the retransmission time-out.
  void handle_segment(TimePoint now, const Segment& segment, Duration timeout) {
    if (!ts_) return;
    const bool echo = segment.command == KcpCommand::kAck && segment.ts == *ts_;
    const bool advertised = segment.command == KcpCommand::kWindowUpdate &&
                            segment.window <= 2 * min_window_ &&
                            (!pinged_at_ || now - *pinged_at_ > kStrayAnswers * timeout);
    min_window_ = std::min<std::uint32_t>(min_window_, segment.window);
    if (!echo && !advertised) return;
    ts_.reset();
    answered_ = true;
  }
  /// True once after the last probe was answered.
  bool take_answer() { return std::exchange(answered_, false); }

 private:
  /// Retransmission time-outs after which the answer to an earlier WASK no longer arrives. One covers the
  /// RTT; the others cover a queue that grew meanwhile. Too small a value takes a stray WINS for a probe's
  /// answer, and the session sends packets that the path drops.
  static constexpr int kStrayAnswers = 3;

  std::optional<std::uint32_t> ts_;  // of the probe that is not answered
  std::uint32_t min_window_ = 0;     // that the peer advertised since the probe left
  std::optional<TimePoint> pinged_at_;
  bool answered_ = false;
};

}  // namespace kcptun
