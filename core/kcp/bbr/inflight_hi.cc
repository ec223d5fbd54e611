#include "core/kcp/bbr/inflight_hi.h"

#include <utility>

#include "core/kcp/bbr/loss_model.h"

namespace kcptun::bbr {
namespace {

// Share of packets beyond the path's own that, with a queue, shows an overflow. [BBR] BBR.LossThresh is 2 %
// of all losses; here the path's own do not count. Lower: chance shrinks the window. Higher: the queue stays
// full. [lab] "two tunnels on one link, RTT 50 ms", share of the link.
constexpr double kCongestiveLoss = 0.01;
// Factor of one reduction. [BBR] BBR.Beta is 0.7; with 0.85 a session keeps the bandwidth beside TCP. Lower:
// it yields too much. Higher: sharing takes longer. [lab] "a tunnel beside a TCP CUBIC flow, RTT 50 ms".
constexpr double kBeta = 0.85;
// Growth of the limit for each judgement without an overflow, a share of it and one packet at least. Lower:
// bandwidth that others leave is taken later. Higher: the queue overflows more often. [lab] as kBeta.
constexpr double kInflightGrowth = 1.0 / 16;

}  // namespace

void InflightHi::handle_round(const Model& model, double path_loss, std::uint64_t packet_size) {
  packets_ += model.last().packets();
  lost_ += model.last().lost;
  if (packets_ < kJudgedPackets) return;
  const double loss =
      static_cast<double>(std::exchange(lost_, 0)) / static_cast<double>(std::exchange(packets_, 0));
  if (loss > path_loss + kCongestiveLoss && model.shows_queue(model.last(), kQueueSamples)) {
    const double in_flight = static_cast<double>(std::min(model.last().max_in_flight, value_));
    value_ = std::max(static_cast<std::uint64_t>(in_flight * kBeta), model.bdp(1));
    return;
  }
  if (value_ == CongestionController::kUnlimited) return;
  value_ += std::max(static_cast<std::uint64_t>(static_cast<double>(value_) * kInflightGrowth), packet_size);
  if (value_ > model.bdp(2 * kStartupWindowGain)) value_ = CongestionController::kUnlimited;
}

}  // namespace kcptun::bbr
