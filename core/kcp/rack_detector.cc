#include "core/kcp/rack_detector.h"

#include <algorithm>

namespace kcptun {
namespace {

// Doublings of the probe timeout, after which kMaxProbeTimeout applies on any path (16 * 30 ms). It keeps the
// shift small.
constexpr std::uint32_t kMaxDoublings = 4;

}  // namespace

void RackDetector::handle_acked(TimePoint now, const Acknowledgement& facts, const Scoreboard& sent) {
  const SentSegment& segment = *facts.segment;
  if (facts.spurious_loss) widen_reordering(segment, sent.transmit_number());
  if (facts.last_arrived && segment.transmit_number > max_acked_) {
    max_acked_ = segment.transmit_number;
    max_acked_rtt_ = facts.rtt.value_or(now - segment.sent_at);  // of a copy, if that is what arrived
  }
  progress_at_ = now;
  pto_count_ = 0;
}

// Once per round trip, because all losses that were found before have the same cause.
void RackDetector::widen_reordering(const SentSegment& segment, std::uint64_t newest) {
  calm_losses_ = 0;
  if (segment.transmit_number <= widened_at_) return;
  widened_at_ = newest;
  reordering_ = std::min(reordering_ + 1, kMaxReordering);
}

Duration RackDetector::reordering_window(const RttEstimator& rtt) const {
  const Duration first =
      std::clamp<Duration>(rtt.minimum().value_or(Duration(0)) / 4, kMinReordering, kMaxFirstReordering);
  return std::min(first * reordering_, std::max(first, rtt.smoothed().value_or(first)));
}

// RFC 8985 section 6.2 step 5. Segments are in the order of their transmission, so that the first one that is
// not overdue ends the search.
void RackDetector::detect_lost(TimePoint now, const RttEstimator& rtt, Scoreboard& sent, Losses& losses) {
  threshold_at_.reset();
  const Duration allowed = max_acked_rtt_ + reordering_window(rtt);
  while (sent.in_flight_at(0) > 0) {
    const std::uint32_t sn = sent.oldest_at(0);
    const SentSegment& segment = sent[sn];
    if (segment.transmit_number >= max_acked_) break;
    if (now - segment.sent_at < allowed) {
      threshold_at_ = segment.sent_at + allowed;
      break;
    }
    losses.add(sent.mark_lost(sn));
    ++losses.by_time;
  }
  calm_losses_ += losses.by_time;
  if (calm_losses_ < kCalmLosses) return;
  calm_losses_ = 0;
  reordering_ = std::max(reordering_ - 1, 1u);
}

std::optional<TimePoint> RackDetector::probe_at(const RttEstimator& rtt, const Scoreboard& sent) const {
  if (sent.in_flight_at(0) == 0) return std::nullopt;
  const Duration wait = std::min<Duration>(rtt.timeout() * (1 << std::min(pto_count_, kMaxDoublings)),
                                           std::max<Duration>(rtt.timeout(), kMaxProbeTimeout));
  return std::max({progress_at_, probed_at_, sent[sent.oldest_at(0)].sent_at}) + wait;
}

// RFC 8985 section 7.3, with una instead of the last segment: una is what the peer's reader waits for. If
// lost segments wait already, their retransmission is the probe.
bool RackDetector::on_probe_timeout(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) {
  const std::optional<TimePoint> at = probe_at(rtt, sent);
  if (!at || now < *at) return false;
  probed_at_ = now;
  ++pto_count_;
  if (sent.has_lost()) return true;
  const bool una_in_flight = sent[sent.una()].state == SegmentState::kInFlight;
  sent.queue_retransmission(una_in_flight ? sent.una() : sent.oldest_at(0));
  return true;
}

Losses RackDetector::end_batch(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) {
  Losses losses;
  detect_lost(now, rtt, sent, losses);
  return losses;
}

Losses RackDetector::handle_timeout(TimePoint now, const RttEstimator& rtt, Scoreboard& sent) {
  Losses losses;
  detect_lost(now, rtt, sent, losses);
  losses.probe_due = on_probe_timeout(now, rtt, sent);
  return losses;
}

std::optional<TimePoint> RackDetector::next_timeout(const RttEstimator& rtt, const Scoreboard& sent) const {
  return earliest(threshold_at_, probe_at(rtt, sent));
}

}  // namespace kcptun
