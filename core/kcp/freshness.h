// Which of the peer's segments are newer than all before.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/serial.h"
#include "core/base/time.h"

namespace kcptun {

/// The time stamps of one clock. A segment without new data or a new acknowledgement is fresh only if its
/// time stamp is later than all before: reordered, duplicated and replayed ones are not.
class TimestampClock {
 public:
  /// How far the clock may be ahead of its last time stamp plus the time since then. MTU probes and
  /// challenges carry time stamps that no clock shows, and must not move this one. It covers drift and a
  /// delayed first time stamp; a larger value would let a forged time stamp hide fresh ones for as long.
  static constexpr Duration kSlack = seconds(2);

  /// `ts` is known to be the clock's.
  void observe(TimePoint now, std::uint32_t ts) {
    if (newest_ && !serial_less(*newest_, ts)) return;
    newest_ = ts;
    at_ = now;
  }
  std::optional<std::uint32_t> newest() const { return newest_; }
  /// True if `ts` is later than all before and not in the future; it is then the newest.
  bool advance(TimePoint now, std::uint32_t ts) {
    if (!newest_) return false;
    const std::uint32_t latest =
        *newest_ + wire_ms(now) - wire_ms(at_) + static_cast<std::uint32_t>(kSlack / milliseconds(1));
    if (!serial_less(*newest_, ts) || serial_less(latest, ts)) return false;
    observe(now, ts);
    return true;
  }

 private:
  std::optional<std::uint32_t> newest_;
  TimePoint at_{};
};

/// The peer's receive window. While una stays, the window only grows, because its reader takes data. Of two
/// segments, the one with the later una is newer, and with the same una the one with the larger window.
class AdvertisedWindow {
 public:
  explicit AdvertisedWindow(std::uint32_t assumed) : segments_(assumed) {}

  std::uint32_t segments() const { return segments_; }
  /// A segment advertised `window` at `una`. False if it is older than the window that is known.
  bool handle(std::uint32_t una, std::uint32_t window) {
    if (una_ && (serial_less(una, *una_) || (una == *una_ && window < segments_))) return false;
    una_ = una;
    segments_ = window;
    return true;
  }

 private:
  std::optional<std::uint32_t> una_;  // of the segment that advertised it; none: it is assumed
  std::uint32_t segments_;
};

}  // namespace kcptun
