#include "core/kcp/redundant_transmissions.h"

#include <algorithm>

namespace kcptun {

// --- copies ---

void RedundantTransmissions::add_copies(TimePoint now, std::uint32_t sn, std::uint64_t transmit_number) {
  if (copies_[0].size() < kMaxPendingCopies)
    copies_[0].push_back({{sn, transmit_number}, now + kMinCopyGap, now + kCopyDelays[0]});
}

std::optional<std::uint32_t> RedundantTransmissions::take_copy(TimePoint now, const Request& request,
                                                               const Scoreboard& sent) {
  for (std::size_t i = 0; i < std::min(request.copies, kMaxCopies); ++i) {
    std::vector<PendingCopy>& stage = copies_[i];
    drop_outdated(stage, sent);
    if (stage.empty()) continue;
    PendingCopy copy = stage.front();
    if (copy.earliest > now || sent[copy.of.sn].length > request.room) continue;
    stage.erase(stage.begin());
    copy.earliest = now + kMinCopyGap;
    if (i + 1 < kCopyDelays.size())
      copy.due = std::max(copy.earliest, copy.due + kCopyDelays[i + 1] - kCopyDelays[i]);
    if (i + 1 < kMaxCopies && copies_[i + 1].size() < kMaxPendingCopies) copies_[i + 1].push_back(copy);
    return copy.of.sn;
  }
  return std::nullopt;
}

std::optional<TimePoint> RedundantTransmissions::next_copy_at(std::uint8_t copies, const Scoreboard& sent) {
  std::optional<TimePoint> next;
  for (std::size_t i = 0; i < std::min<std::size_t>(copies, kCopyDelays.size()); ++i) {
    drop_outdated(copies_[i], sent);
    if (!copies_[i].empty()) next = earliest(next, std::optional(copies_[i].front().due));
  }
  return next;
}

void RedundantTransmissions::drop_due_copies(TimePoint now) {
  for (std::size_t i = 0; i < kCopyDelays.size(); ++i)
    while (!copies_[i].empty() && copies_[i].front().due <= now) copies_[i].erase(copies_[i].begin());
}

// --- duplicate retransmissions ---

void RedundantTransmissions::add_duplicate(std::uint32_t sn, std::uint64_t transmit_number) {
  if (pending_.size() < kMaxPendingDuplicates) pending_.push_back({sn, transmit_number});
}

std::optional<std::uint32_t> RedundantTransmissions::take_duplicate(Gap gap, std::size_t room,
                                                                    const Scoreboard& sent) {
  for (; !pending_.empty(); pending_.pop_front()) {
    const auto [sn, transmit_number] = pending_.front();
    if (!is_current({sn, transmit_number}, sent)) continue;
    if (sent[sn].length > room) return std::nullopt;
    if (gap == Gap::kKeep && sent.transmit_number() - transmit_number < kDuplicateGap) return std::nullopt;
    pending_.pop_front();
    return sn;
  }
  return std::nullopt;
}

}  // namespace kcptun
