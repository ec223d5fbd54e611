#include "core/kcp/bbr/loss_model.h"

#include <algorithm>
#include <cmath>

namespace kcptun::bbr {
namespace {

// Share of packets, the most that is sent on top. Lower: paths that lose more carry less. Higher: a path that
// drops for want of bandwidth is sent still more. [lab] "RTT 50 ms, 100 Mbit/s, 10 % loss" needs 0.1 at
// least.
constexpr double kMaxShare = 0.25;
// Packets after which what was measured weighs half. Lower: the bound is wide. Higher: a loss that has ended
// is sent on top for longer. [sim] path_change_test, "behind a policer the sender finds the rate at which
// little is dropped".
constexpr double kMeasureMemory = 1024;

}  // namespace

void LossModel::handle_round(const Round& last) {
  if (last.packets() < kLossSamples) return;
  cycle_share_ = std::min(cycle_share_, last.loss());
  if (++cycle_rounds_ < kCycleLength) return;
  share_ = std::min({cycle_share_, bound(), kMaxShare});
  cycle_rounds_ = 0;
  cycle_share_ = 1;
}

void LossModel::measure(std::uint64_t packets, std::uint64_t lost) {
  measured_packets_ += static_cast<double>(packets);
  measured_lost_ += static_cast<double>(lost);
  if (measured_packets_ < kMeasureMemory) return;
  measured_packets_ /= 2;
  measured_lost_ /= 2;
}

double LossModel::bound() const {
  if (!measured()) return kMaxShare;
  return (measured_lost_ + 1 + 2 * std::sqrt(measured_lost_ + 1)) / measured_packets_;
}

}  // namespace kcptun::bbr
