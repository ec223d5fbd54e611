#include "core/kcp/rtt_estimator.h"

#include <algorithm>

namespace kcptun {

void RttEstimator::add_sample(TimePoint now, Duration rtt) {
  rtt = std::max(rtt, Duration(1));
  if (!minimum_ || now - epoch_at_ >= kMinimumAge) {
    minimum_ = minimum_ ? std::min(epoch_minimum_, rtt) : rtt;
    epoch_minimum_ = rtt;
    epoch_at_ = now;
  }
  epoch_minimum_ = std::min(epoch_minimum_, rtt);
  minimum_ = std::min(*minimum_, rtt);
  if (!smoothed_) {  // RFC 6298 section 2.2
    smoothed_ = rtt;
    variation_ = rtt / 2;
  } else {  // RFC 6298 section 2.3
    const Duration error = rtt > *smoothed_ ? rtt - *smoothed_ : *smoothed_ - rtt;
    variation_ = (3 * variation_ + error) / 4;
    smoothed_ = (7 * *smoothed_ + rtt) / 8;
  }
  const Duration timeout = *smoothed_ + std::max(granularity_, 4 * variation_);
  timeout_ = std::clamp(timeout, floor_, kMaxTimeout);
}

}  // namespace kcptun
