#include "core/kcp/bbr/policer.h"

namespace kcptun::bbr {
namespace {

// Share of packets beyond the measured bound that only a policer explains. Linux has 0.2 in all
// (lt_loss_thresh); here the path's own loss is known. Lower: bursts of losses pass for a policer. Higher: a
// policed path loses that much for ever. [sim] path_change_test, "behind a policer the sender finds the rate
// at which little is dropped".
constexpr double kPolicedLoss = 0.05;
// Rounds for which the average counts: the value of Linux (lt_bw_max_rtts). Lower: a policer gets bursts more
// often. Higher: a wrong guess costs longer.
constexpr std::uint64_t kFirstRounds = 48;
// Rounds, the maximum: it doubles each time that the policer is found again. Lower: as above. Higher: a
// policer that was switched off limits the rate for longer. [sim] as kPolicedLoss.
constexpr std::uint64_t kMaxRounds = 384;

}  // namespace

void Policer::handle_round(const Model& model, const LossModel& losses, const AckedEvent& acked) {
  if (model.round_count() < until_) return;
  rate_ = CongestionController::kUnlimited;
  if (interval_.rounds++ == 0 || !losses.measured()) {
    interval_ = {acked.now, acked.delivered, 1, 0, 0};
    return;
  }
  interval_.packets += model.last().packets();
  interval_.lost += model.last().lost;
  if (interval_.packets < kJudgedPackets || interval_.rounds <= kCycleLength) return;
  const double loss = static_cast<double>(interval_.lost) / static_cast<double>(interval_.packets);
  const Duration elapsed = std::max<Duration>(acked.now - interval_.since, Duration(1));
  if (loss > losses.bound() + kPolicedLoss && !model.shows_queue(model.last(), kQueueSamples)) {
    rate_ = (acked.delivered - interval_.delivered) * 1000000 / static_cast<std::uint64_t>(elapsed.count());
    rounds_ = std::min(std::max(2 * rounds_, kFirstRounds), kMaxRounds);
    until_ = model.round_count() + rounds_;
  } else {
    rounds_ = 0;
  }
  interval_ = {};
}

}  // namespace kcptun::bbr
