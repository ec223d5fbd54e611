// A scoreboard and the loss detector under test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/kcp/loss_detector.h"

namespace kcptun::test {

using Numbers = std::vector<std::uint32_t>;

template <typename Detector>
struct DetectorFixture {
  static constexpr std::size_t kLength = 10;

  DetectorFixture(Detector detector_, Duration floor) : detector(detector_), rtt(floor, milliseconds(10)) {}

  /// Sends so many new segments.
  void send_new(TimePoint now, std::uint32_t count) {
    for (; count > 0; --count) sent.add({now, kLength, {}}, kLength, Scoreboard::Protection::kNone);
  }
  /// Retransmits all lost segments; returns their numbers.
  Numbers resend(TimePoint now) {
    Numbers numbers;
    while (sent.has_lost()) {
      numbers.push_back(sent.next_lost());
      sent.retransmit(numbers.back(), {now, kLength, {}});
    }
    return numbers;
  }
  Acknowledgement ack(TimePoint now, std::uint32_t sn, TimePoint sent_at) {
    const Acknowledgement facts = sent.handle_ack(now, sn, wire_ms(sent_at));
    if (facts.segment) detector.handle_acked(now, facts, sent);
    return facts;
  }
  void handle_una(TimePoint now, std::uint32_t una) {
    while (sent.una() != una)
      if (const Acknowledgement facts = sent.pop_una(); facts.segment)
        detector.handle_acked(now, facts, sent);
  }
  Losses end_batch(TimePoint now) { return detector.end_batch(now, rtt, sent); }
  Losses handle_timeout(TimePoint now) { return detector.handle_timeout(now, rtt, sent); }
  std::optional<TimePoint> next_timeout() const { return detector.next_timeout(rtt, sent); }

  Scoreboard sent{0};
  Detector detector;
  RttEstimator rtt;
};

}  // namespace kcptun::test
