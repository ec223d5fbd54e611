#include "core/kcp/delivery_rate.h"

#include <algorithm>

namespace kcptun {

void DeliveryRate::handle_acked(TimePoint now, std::uint64_t bytes, const SentPacketState* copy,
                                TimePoint sent_at) {
  delivered_ += bytes;
  delivered_at_ = now;
  if (app_limited_until_ > 0 && delivered_ >= app_limited_until_) app_limited_until_ = 0;
  if (!copy || (pending_ && sent_at < pending_sent_at_)) return;
  pending_ = true;
  pending_state_ = *copy;
  pending_sent_at_ = sent_at;
  first_sent_at_ = sent_at;
}

std::optional<RateSample> DeliveryRate::take_sample(Duration min_rtt) {
  if (!pending_) return std::nullopt;
  pending_ = false;
  const Duration sending = pending_sent_at_ - pending_state_.first_sent_at;
  const Duration arriving = delivered_at_ - pending_state_.delivered_at;
  const Duration interval = std::max(sending, arriving);
  if (interval.count() <= 0 || interval < min_rtt) return std::nullopt;
  const std::uint64_t bytes = delivered_ - pending_state_.delivered;
  return RateSample{bytes * 1000000 / static_cast<std::uint64_t>(interval.count()), pending_state_.delivered,
                    pending_state_.app_limited};
}

}  // namespace kcptun
