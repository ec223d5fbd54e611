// What a path would have carried while its sender was idle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/time.h"
#include "core/kcp/congestion.h"

namespace kcptun {

/// May be spent on packets beside the data. Idle time of kRoundTrips at most is remembered: more would take room that
/// the data wants by now.
class IdleCapacity {
 public:
  static constexpr int kRoundTrips = 1;

  /// The path would take more than there is to send, or than the windows take.
  void begin_idle(TimePoint now) {
    if (!idle_since_) idle_since_ = now;
  }
  bool is_idle() const { return idle_since_.has_value(); }
  /// Data leaves, over a path as `path` says. Without begin_idle() before it, nothing happens.
  void end_idle(TimePoint now, const PathEstimate& path) {
    if (!idle_since_) return;
    bytes_ = std::min(bytes_ + carried(now - *idle_since_, path), carried(kRoundTrips * path.round_trip, path));
    idle_since_.reset();
  }
  /// As much as there is, at most.
  void spend(std::uint64_t bytes) { bytes_ -= std::min(bytes_, bytes); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  static std::uint64_t carried(Duration time, const PathEstimate& path) {
    return static_cast<std::uint64_t>(static_cast<double>(path.bandwidth) * static_cast<double>(time.count()) * 1e-6);
  }

  std::optional<TimePoint> idle_since_;
  std::uint64_t bytes_ = 0;
};

}  // namespace kcptun
