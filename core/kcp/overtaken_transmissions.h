// First transmissions of which a copy was acknowledged: lost, or only overtaken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/time.h"
#include "core/kcp/scoreboard.h"

namespace kcptun {

/// On a path that reorders, a copy may arrive before the transmission that it copies. The peer acknowledges
/// the late one too, with its time stamp. Holds back the outcome "lost" until then, so that reordering does
/// not count as loss.
class OvertakenTransmissions {
 public:
  /// How late an acknowledgement may be. Jitter of more than this is loss for a real-time stream. Lower: it
  /// counts as loss on paths that reorder by more. Higher: a growing loss is seen later.
  static constexpr Duration kPatience = milliseconds(100);
  /// Outcomes held back; the oldest one is lost if there are more. It bounds the memory (1.5 KiB) and the
  /// search. A thin session that loses 10 % has ten.
  static constexpr std::size_t kMaxOpen = 64;

  /// A copy of `sn`, whose first transmission has the time stamp `ts`, was acknowledged at `now`. `lost` is
  /// the outcome unless that one arrives.
  void add(TimePoint now, std::uint32_t sn, std::uint32_t ts, FirstOutcome lost) {
    open_.push_back({now + kPatience, sn, ts, lost});
  }
  /// The transmission of `sn` with the time stamp `ts` was acknowledged, in addition to a copy.
  FirstOutcome handle_ack(std::uint32_t sn, std::uint32_t ts) {
    const auto it = std::ranges::find_if(open_, [&](const Open& o) { return o.sn == sn && o.ts == ts; });
    if (it == open_.end()) return FirstOutcome::kUnknown;
    const FirstOutcome arrived = it->lost == FirstOutcome::kUnprotectedLost
                                     ? FirstOutcome::kUnprotectedArrived
                                     : FirstOutcome::kProtectedArrived;
    open_.erase(it);
    return arrived;
  }
  /// Adds those that are lost by now to `outcomes`.
  void take_lost(TimePoint now, FirstOutcomes& outcomes) {
    auto end = open_.begin();
    for (; end != open_.end() && (end->until <= now || open_.end() - end > kMost); ++end)
      outcomes.add(end->lost);
    open_.erase(open_.begin(), end);
  }

 private:
  struct Open {
    TimePoint until;
    std::uint32_t sn;
    std::uint32_t ts;
    FirstOutcome lost;
  };
  static constexpr auto kMost = static_cast<std::ptrdiff_t>(kMaxOpen);

  std::vector<Open> open_;  // in the order of their ends
};

}  // namespace kcptun
