// The bytes that a path would have carried while its sender was idle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/time.h"
#include "core/kcp/congestion.h"

namespace kcptun {

/// They may be spent on packets beside the data.
class IdleCapacity {
 public:
  /// Round trips of idle time that count at most. The path's queue and the peer's window hold about one; with
  /// more, redundancy takes capacity that the data needs by now.
  static constexpr int kRoundTrips = 1;

  /// The path would carry more than the application has to send, or than the windows permit.
  void begin_idle(TimePoint now) {
    if (!idle_since_) idle_since_ = now;
  }
  bool is_idle() const { return idle_since_.has_value(); }
  /// Data leaves: adds what `path` would have carried since begin_idle(). Without begin_idle(), nothing
  /// happens.
  void end_idle(TimePoint now, const PathEstimate& path) {
    if (!idle_since_) return;
    bytes_ =
        std::min(bytes_ + carried(now - *idle_since_, path), carried(kRoundTrips * path.round_trip, path));
    idle_since_.reset();
  }
  /// Takes `bytes` bytes, or all that there are.
  void spend(std::uint64_t bytes) { bytes_ -= std::min(bytes_, bytes); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  static std::uint64_t carried(Duration time, const PathEstimate& path) {
    return static_cast<std::uint64_t>(static_cast<double>(path.bandwidth) *
                                      static_cast<double>(time.count()) * 1e-6);
  }

  std::optional<TimePoint> idle_since_;
  std::uint64_t bytes_ = 0;
};

}  // namespace kcptun
