#include "core/fec/parity_policy.h"

#include <algorithm>
#include <cmath>

namespace kcptun {

std::uint32_t parity_for(std::uint32_t data, std::uint32_t max_parity, double loss, double failures) {
  if (loss <= 0) return 0;
  if (loss >= 1) return max_parity;
  for (std::uint32_t parity = 0; parity < max_parity; ++parity) {
    const std::uint32_t packets = data + parity;
    double exactly = std::pow(1 - loss, packets);  // the probability of exactly `lost` losses
    double at_most = exactly;
    for (std::uint32_t lost = 1; lost <= parity; ++lost) {
      exactly *= static_cast<double>(packets - lost + 1) / lost * loss / (1 - loss);
      at_most += exactly;
    }
    if (1 - at_most <= failures) return parity;
  }
  return max_parity;
}

std::uint32_t ParityPolicy::needed(double loss) {
  // A small change of the estimate seldom changes the result, which takes thousands of operations.
  if (std::abs(loss - loss_of_needed_) > std::max(loss_of_needed_ / 16, 0.0002)) {
    loss_of_needed_ = loss;
    needed_ = parity_for(settings_.data_shards, settings_.parity_shards, loss, kFailures);
  }
  return needed_;
}

std::uint32_t ParityPolicy::next_group(const Conditions& conditions) {
  if (2 * conditions.in_flight < settings_.data_shards) return 0;
  if (conditions.group % kMeasurePeriod < kMeasuredGroups) return 0;
  return std::min(needed(conditions.loss), conditions.idle_capacity);
}

}  // namespace kcptun
