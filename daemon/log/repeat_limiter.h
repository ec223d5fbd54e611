// Keeps a line that comes again and again from filling the log.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"

namespace kcptun {

/// Lets the first kBurst lines of a kind through in each kPeriod, which begins with the first of them, and
/// counts the rest. Time goes in, a decision comes out. Bounds: kMaxKinds kinds are counted at once; lines of
/// more pass.
class RepeatLimiter {
 public:
  static constexpr std::uint32_t kBurst = 10;
  static constexpr Duration kPeriod = seconds(10);
  static constexpr std::size_t kMaxKinds = 1024;

  struct LeftOut {
    std::string kind;
    std::uint64_t lines;
  };

  /// True if a line of this kind is to be written at `now`.
  bool admit(std::string_view kind, TimePoint now);
  /// The kinds whose period is over and of which lines were left out, each told once; forgets what is over.
  std::vector<LeftOut> take_finished(TimePoint now);
  /// The same of all kinds, at once.
  std::vector<LeftOut> take_all();

 private:
  struct Kind {
    TimePoint ends{};
    std::uint64_t lines = 0;
  };
  std::map<std::string, Kind, std::less<>> kinds_;
  std::optional<TimePoint> next_end_;  // no later than the first of them
};

}  // namespace kcptun
