// Spreads packets over time at a rate.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// Packets leave in bursts of one timer granule's worth; a wake-up that is late may send the bytes of
/// kBurstAllowance.
class Pacer {
 public:
  /// Time. libuv's timers count milliseconds. Lower: the loop wakes up for nothing. Higher: bursts overflow
  /// shallow queues.
  static constexpr Duration kTimerGranularity = milliseconds(1);
  /// Time. A wake-up under load is one to two granules late. Lower: such a sender falls below its rate.
  /// Higher: a burst after a longer sleep overflows shallow queues. tests/kcp/pacer_test.cc.
  static constexpr Duration kBurstAllowance = milliseconds(3);

  /// `rate`: bytes per second; 0: not paced.
  void set_rate(std::uint64_t rate) { rate_ = rate; }
  std::uint64_t rate() const { return rate_; }

  bool allows(TimePoint now) const { return rate_ == 0 || next_at_ <= now; }
  /// `bytes` leave at `now`.
  void charge(TimePoint now, std::uint64_t bytes) {
    if (rate_ == 0) return;
    const auto takes = static_cast<std::int64_t>(bytes * 1000000 / rate_);
    next_at_ = std::max(next_at_, now - kBurstAllowance) + Duration(takes);
  }
  /// The time whose bytes may leave at once at `now`; 0 while allows(now) is false.
  Duration behind(TimePoint now) const {
    return std::clamp<Duration>(now - next_at_, Duration(0), kBurstAllowance);
  }
  /// When allows() is worth another call. REQUIRES: allows(now) is false.
  TimePoint ready_at(TimePoint now) const { return std::max(next_at_, now + kTimerGranularity); }

 private:
  std::uint64_t rate_ = 0;
  TimePoint next_at_{};
};

}  // namespace kcptun
