// Whether a session sends little.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/time.h"

namespace kcptun {

/// A leaky bucket of the stream bytes that a session sends for the first time. A session is thin while they
/// stay below a rate; a short burst is permitted, bulk is not thin from its first window on.
class ThinMeter {
 public:
  /// Bytes per second: 512 kbit/s. Ten flows of a 100-byte message each 20 ms (calls, games) take 58 KB/s
  /// with the headers of smux and Snappy. tests/sim/thin_test.cc. Lower: they get no copies. Higher: the
  /// copies alone take more than 1.5 Mbit/s, which is all that a slow uplink has.
  static constexpr std::uint64_t kRate = 65536;
  /// Bytes above the rate at which a session is still thin: a TLS handshake or an API call. Lower: only the
  /// first part of them gets copies. Higher: so does the beginning of each download.
  static constexpr std::uint64_t kBurst = 8192;

  /// `bytes` leave for the first time. The level is limited, so that a session is thin again 125 ms after its
  /// bulk has ended.
  void handle_sent(TimePoint now, std::size_t bytes) {
    level_ = std::min(level(now) + bytes, 2 * kBurst);
    at_ = now;
  }
  bool is_thin(TimePoint now) const { return level(now) <= kBurst; }

 private:
  std::uint64_t level(TimePoint now) const {
    const auto micros = static_cast<std::uint64_t>(std::max<Duration>(now - at_, Duration(0)).count());
    const std::uint64_t drained = std::min<std::uint64_t>(micros, 1000000) * kRate / 1000000;
    return level_ - std::min(level_, drained);
  }

  std::uint64_t level_ = 0;  // bytes, at at_
  TimePoint at_{};
};

}  // namespace kcptun
