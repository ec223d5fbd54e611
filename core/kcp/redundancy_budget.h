// The bytes that may leave beside the data.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/time.h"
#include "core/kcp/congestion.h"

namespace kcptun {

/// The one account of all redundancy: parity, copies of thin streams and duplicate retransmissions. It earns
/// what the path would have carried while its sender was idle, or a multiple of what a thin stream sends, and
/// each redundant packet is charged when it leaves.
class RedundancyBudget {
 public:
  /// Round trips of idle time that count at most. The path's queue and the peer's window hold about one; with
  /// more, redundancy takes capacity that the data needs by now.
  static constexpr int kRoundTrips = 1;

  /// The path would carry more than the application has to send, or than the windows permit.
  void begin_idle(TimePoint now) {
    if (!idle_since_) idle_since_ = now;
  }
  bool is_idle() const { return idle_since_.has_value(); }
  /// Data leaves: earns what `path` would have carried since begin_idle(). Without begin_idle(), nothing
  /// happens.
  void end_idle(TimePoint now, const PathEstimate& path) {
    if (!idle_since_) return;
    bytes_ =
        std::min(bytes_ + carried(now - *idle_since_, path), carried(kRoundTrips * path.round_trip, path));
    idle_since_.reset();
  }
  /// The idle time until now earns nothing.
  void discard_idle() { idle_since_.reset(); }
  /// Earns `bytes`, up to `limit` in all.
  void earn(std::uint64_t bytes, std::uint64_t limit) {
    bytes_ = std::max(bytes_, std::min(bytes_ + bytes, limit));
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
