// Which of the peer's segments were made later than what it has told before.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/serial.h"
#include "core/base/time.h"

namespace kcptun {

/// The time stamps of one clock as they come by. A segment that repeats what is known is a sign of life only if its time
/// stamp is later than all before: reordered, duplicated and recorded ones are not.
class TimestampClock {
 public:
  /// How much faster than ours the clock may run before its time stamps count as made up: size probes and challenges
  /// carry some that no clock shows.
  static constexpr Duration kSlack = seconds(2);

  /// A time stamp that is known to be the clock's.
  void observe(TimePoint now, std::uint32_t ts) {
    if (newest_ && !serial_less(*newest_, ts)) return;
    newest_ = ts;
    at_ = now;
  }
  std::optional<std::uint32_t> newest() const { return newest_; }
  /// True, once, if `ts` is later than all before, and not in the future.
  bool advance(TimePoint now, std::uint32_t ts) {
    if (!newest_) return false;
    const std::uint32_t latest = *newest_ + wire_ms(now) - wire_ms(at_) + static_cast<std::uint32_t>(kSlack / milliseconds(1));
    if (!serial_less(*newest_, ts) || serial_less(latest, ts)) return false;
    observe(now, ts);
    return true;
  }

 private:
  std::optional<std::uint32_t> newest_;
  TimePoint at_{};
};

/// The peer's receive window. At one una it only ever grows, as its reader takes what is there: of two segments that say
/// different things, the one with the later una is newer, and at the same una the one with the larger window.
class AdvertisedWindow {
 public:
  explicit AdvertisedWindow(std::uint32_t assumed) : segments_(assumed) {}

  std::uint32_t segments() const { return segments_; }
  /// False if the segment is older than what is known.
  bool handle(std::uint32_t una, std::uint32_t window) {
    if (una_ && (serial_less(una, *una_) || (una == *una_ && window < segments_))) return false;
    una_ = una;
    segments_ = window;
    return true;
  }

 private:
  std::optional<std::uint32_t> una_;  // of the segment that told it; none: it is assumed
  std::uint32_t segments_;
};

}  // namespace kcptun
