// Keeps a session's packets below a number of bytes per second.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// A token bucket of kBurstSeconds. It may run into debt by one packet and its group's parity, so that a
/// burst is at most the bucket and those.
class RateLimiter {
 public:
  /// `rate`: bytes of UDP payload per second; > 0.
  RateLimiter(std::uint64_t rate, TimePoint now)
      : rate_(static_cast<double>(rate)),
        max_tokens_(rate_ * kBurstSeconds),
        tokens_(max_tokens_),
        at_(now) {}

  /// True if a packet may leave at `now`.
  bool allows(TimePoint now) {
    refill(now);
    return tokens_ > 0;
  }
  void charge(std::size_t bytes) { tokens_ -= static_cast<double>(bytes); }
  /// When allows() will be true again. REQUIRES: it has just returned false.
  TimePoint ready_at() const { return at_ + Duration(1 + static_cast<std::int64_t>(-tokens_ / rate_ * 1e6)); }

 private:
  // Of the rate, may leave at once. Longer bursts fill the queue before a slow link; shorter ones need more
  // wake-ups.
  static constexpr double kBurstSeconds = 0.005;

  void refill(TimePoint now) {
    if (now <= at_) return;
    tokens_ = std::min(max_tokens_, tokens_ + rate_ * static_cast<double>((now - at_).count()) * 1e-6);
    at_ = now;
  }

  double rate_;
  double max_tokens_;
  double tokens_;
  TimePoint at_;
};

}  // namespace kcptun
