// Feeds a model with whole round trips.
#pragma once

#include "core/kcp/bbr/model.h"

namespace kcptun::bbr::test {

inline constexpr std::uint64_t kPacket = 1350;
inline const TimePoint kStart{seconds(100)};

struct RoundFacts {
  std::uint32_t packets = 100;  // acknowledged
  std::uint32_t lost = 0;
  std::uint32_t loss_events = 0;
  std::uint32_t samples = 10;  // of the round trip time
  Duration rtt = milliseconds(50);
  std::uint64_t rate = 1'000'000;  // bytes per second
  bool app_limited = false;
  std::uint64_t in_flight = 50'000;  // bytes
};

class RoundFeeder {
 public:
  /// Plays one round; returns its last event, which ended it.
  AckedEvent play(const RoundFacts& facts) {
    if (facts.lost > 0) model.count_lost({facts.lost, facts.loss_events, 0});
    const std::uint64_t before = delivered;
    AckedEvent acked;
    acked.rtt = facts.rtt;
    acked.packets = facts.packets / facts.samples;
    acked.bytes = acked.packets * kPacket;
    acked.in_flight = facts.in_flight;
    for (std::uint32_t left = facts.samples; left > 0; --left) {
      acked.now = now += facts.rtt / facts.samples;
      acked.delivered = delivered += acked.bytes;
      if (left == 1) acked.rate = RateSample{facts.rate, before, facts.app_limited};
      model.count_acked(acked);
      model.end_round(acked);
      model.update_bandwidth(acked);
    }
    return acked;
  }

  Model model;
  TimePoint now = kStart;
  std::uint64_t delivered = 0;
};

}  // namespace kcptun::bbr::test
