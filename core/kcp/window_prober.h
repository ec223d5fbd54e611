// The peer's receive window, and the probes while it is closed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/time.h"
#include "core/kcp/freshness.h"

namespace kcptun {

/// Knows the window that the peer advertised last and when to ask for it: WASK leaves kFirstInterval after
/// the window was found closed, and then at growing intervals (docs/develop/protocol.md section 5). The
/// caller writes the segments.
class WindowProber {
 public:
  /// Segments that KCP assumes before the peer's first segment arrives (kcp-go's IKCP_WND_RCV). More would
  /// overrun the window of a peer with a small one before its first answer.
  static constexpr std::uint32_t kAssumedWindow = 32;
  /// kcp-go's IKCP_PROBE_INIT. A longer one delays a transfer whose window update was lost.
  static constexpr Duration kFirstInterval = milliseconds(500);
  /// KCP's IKCP_PROBE_LIMIT: the longest time for which a peer that reads again may stay undetected.
  static constexpr Duration kMaxInterval = seconds(120);

  /// Segments that the peer can receive past una.
  std::uint32_t window() const { return peer_.segments(); }
  /// A segment advertised `window` at `una`.
  void handle_window(std::uint32_t una, std::uint32_t window) {
    if (!peer_.handle(una, window) || window == 0) return;
    probe_at_.reset();
    due_ = false;
  }
  /// A packet is about to be assembled: probing begins if the window is closed.
  void handle_send(TimePoint now) {
    if (window() != 0 || probe_at_) return;
    interval_ = kFirstInterval;
    probe_at_ = now + interval_;
  }
  /// Time passed. Each interval is half as long again as the one before.
  void handle_timeout(TimePoint now) {
    if (!probe_at_ || *probe_at_ > now) return;
    due_ = true;
    interval_ = std::min<Duration>(interval_ + interval_ / 2, kMaxInterval);
    probe_at_ = now + interval_;
  }
  std::optional<TimePoint> next_timeout() const { return probe_at_; }

  /// A WASK is wanted with the next packet, whatever the window.
  void request() { due_ = true; }
  bool due() const { return due_; }
  /// The WASK leaves.
  void handle_sent() { due_ = false; }

 private:
  AdvertisedWindow peer_{kAssumedWindow};
  std::optional<TimePoint> probe_at_;  // set while the window is closed
  Duration interval_{0};               // before probe_at_
  bool due_ = false;
};

}  // namespace kcptun
