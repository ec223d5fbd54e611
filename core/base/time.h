// Time as a value. Core never reads a clock: each time-dependent call takes `now` from its caller.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace kcptun {

/// A clock type without now(): the caller's monotonic clock with any origin, in microseconds.
struct CallerClock {
  using rep = std::int64_t;
  using period = std::micro;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<CallerClock>;
  static constexpr bool is_steady = true;
};

using Duration = CallerClock::duration;
using TimePoint = CallerClock::time_point;

/// The caller's wall clock, since 1970-01-01 UTC, for times that two machines compare. It may jump.
struct CallerUnixClock {
  using rep = std::int64_t;
  using period = std::ratio<1>;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<CallerUnixClock>;
  static constexpr bool is_steady = false;
};
using UnixTime = CallerUnixClock::time_point;

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// The time on the wire: milliseconds modulo 2^32 (docs/develop/protocol.md section 5). Not used elsewhere.
constexpr std::uint32_t wire_ms(TimePoint t) {
  return static_cast<std::uint32_t>(std::chrono::floor<milliseconds>(t).time_since_epoch().count());
}

/// The earlier of two optional deadlines; none if both are none.
constexpr std::optional<TimePoint> earliest(std::optional<TimePoint> a, std::optional<TimePoint> b) {
  if (!a) return b;
  if (!b) return a;
  return *a < *b ? a : b;
}

}  // namespace kcptun
