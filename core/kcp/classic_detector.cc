#include "core/kcp/classic_detector.h"

#include <algorithm>

namespace kcptun {

void ClassicDetector::handle_acked(TimePoint, const Acknowledgement& facts, const Scoreboard&) {
  if (facts.last_arrived) max_acked_ = std::max(max_acked_, facts.segment->transmit_number);
}

Losses ClassicDetector::end_batch(TimePoint, const RttEstimator&, Scoreboard& sent) {
  Losses losses;
  if (resend_ == 0) return losses;
  for (std::uint8_t level = 0; level < Scoreboard::kBackoffLevels; ++level) {
    while (sent.in_flight_at(level) > 0) {
      const std::uint32_t sn = sent.oldest_at(level);
      if (sent[sn].transmit_number + resend_ > max_acked_) break;
      losses.add(sent.mark_lost(sn));
      ++losses.by_packet_threshold;
    }
  }
  return losses;
}

// docs/develop/protocol.md section 5: 0.2, 0.6, 1.2, 2.0 s, or with nodelay 0.2, 0.5, 0.9, 1.4 s, at an RTO
// of 0.2 s.
Duration ClassicDetector::timeout_at(std::uint8_t level, Duration rto) const {
  return std::min<Duration>(nodelay_ ? rto + rto * level / 2 : rto * (level + 1), kMaxTimeout);
}

Losses ClassicDetector::handle_timeout(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) {
  Losses losses;
  for (std::uint8_t level = 0; level < Scoreboard::kBackoffLevels; ++level) {
    const Duration timeout = timeout_at(level, rtt.timeout());
    while (sent.in_flight_at(level) > 0) {
      const std::uint32_t sn = sent.oldest_at(level);
      if (now - sent[sn].sent_at < timeout) break;
      losses.add(sent.mark_timed_out(sn));
      ++losses.timed_out;
    }
  }
  return losses;
}

std::optional<TimePoint> ClassicDetector::next_timeout(const RttEstimator& rtt,
                                                       const Scoreboard& sent) const {
  std::optional<TimePoint> soonest;
  for (std::uint8_t level = 0; level < Scoreboard::kBackoffLevels; ++level) {
    if (sent.in_flight_at(level) == 0) continue;
    soonest = earliest(soonest, sent[sent.oldest_at(level)].sent_at + timeout_at(level, rtt.timeout()));
  }
  return soonest;
}

}  // namespace kcptun
