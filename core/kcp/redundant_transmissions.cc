#include "core/kcp/redundant_transmissions.h"

#include <algorithm>

namespace kcptun {

// The fewest first: otherwise the newest segment, which the peer needs next, would be the last.
std::optional<std::uint32_t> RedundantTransmissions::choose(TimePoint now, const Request& request,
                                                            const Scoreboard& sent) const {
  std::optional<std::uint32_t> best;
  std::uint32_t left = std::min(sent.in_flight_at(0), kThinSegments);
  for (std::uint32_t sn = left > 0 ? sent.oldest_at(0) : 0; left > 0; --left, sn = sent[sn].next) {
    const SentSegment& segment = sent[sn];
    if (segment.transmit_number >= request.before) break;
    const std::uint8_t copies = segment.redundant_copies;
    const Duration age = now - (copies > 0 ? segment.redundant_at : segment.sent_at);
    const bool due = copies == 0 || (copies < request.copies && age > Duration(0));
    const bool overdue = copies < kMaxCopies && age > request.overdue;
    if (segment.length > request.room || !(due || overdue)) continue;
    if (!best || copies < sent[*best].redundant_copies) best = sn;
  }
  return best;
}

void RedundantTransmissions::add_duplicate(std::uint32_t sn, std::uint64_t transmit_number) {
  if (pending_.size() < kMaxPendingDuplicates) pending_.push_back({sn, transmit_number});
}

std::optional<std::uint32_t> RedundantTransmissions::take_duplicate(Gap gap, std::size_t room,
                                                                    const Scoreboard& sent) {
  for (; !pending_.empty(); pending_.pop_front()) {
    const auto [sn, transmit_number] = pending_.front();
    if (!sent.awaits(sn) || sent[sn].transmit_number != transmit_number) continue;
    if (sent[sn].length > room) return std::nullopt;
    if (gap == Gap::kKeep && sent.transmit_number() - transmit_number < kDuplicateGap) return std::nullopt;
    pending_.pop_front();
    return sn;
  }
  return std::nullopt;
}

}  // namespace kcptun
