// Rate limit for repeated log lines.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"

namespace kcptun {

/// Admits the first kBurst lines of a kind per kPeriod and counts the rest. The period starts with the first
/// line. It has no clock: the caller passes the time.
/// Bounds: tracks kMaxKinds kinds at a time; lines of further kinds are admitted.
class RepeatLimiter {
 public:
  static constexpr std::uint32_t kBurst = 10;
  static constexpr Duration kPeriod = seconds(10);
  static constexpr std::size_t kMaxKinds = 1024;

  struct Omitted {
    std::string kind;
    std::uint64_t lines;
  };

  /// True if a line of this kind may be written at `now`.
  bool admit(std::string_view kind, TimePoint now);
  /// The kinds whose period has ended and of which lines were omitted. Removes all ended periods, so each is
  /// returned once.
  std::vector<Omitted> take_finished(TimePoint now);
  /// Like take_finished() for all kinds, without waiting for the end of their periods.
  std::vector<Omitted> take_all();

 private:
  struct Kind {
    TimePoint ends{};
    std::uint64_t lines = 0;
  };
  std::map<std::string, Kind, std::less<>> kinds_;
  std::optional<TimePoint> next_end_;  // at or before the first end of a period
};

}  // namespace kcptun
