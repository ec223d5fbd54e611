// Spreads packets over time at a rate.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// Timers have a grain of about a millisecond: packets leave in bursts of one grain's worth, and a wake-up
/// that comes late makes up for kBurstAllowance at most.
class Pacer {
 public:
  static constexpr Duration kTimerGranularity = milliseconds(1);
  static constexpr Duration kBurstAllowance = milliseconds(3);

  /// `rate`: bytes per second; 0: whatever is asked may leave.
  void set_rate(std::uint64_t rate) { rate_ = rate; }
  std::uint64_t rate() const { return rate_; }

  bool allows(TimePoint now) const { return rate_ == 0 || next_at_ <= now; }
  /// `bytes` leave at `now`.
  void charge(TimePoint now, std::uint64_t bytes) {
    if (rate_ == 0) return;
    const auto takes = static_cast<std::int64_t>(bytes * 1000000 / rate_);
    next_at_ = std::max(next_at_, now - kBurstAllowance) + Duration(takes);
  }
  /// When it is worth asking again. REQUIRES: allows(now) is false.
  TimePoint ready_at(TimePoint now) const { return std::max(next_at_, now + kTimerGranularity); }

 private:
  std::uint64_t rate_ = 0;
  TimePoint next_at_{};
};

}  // namespace kcptun
