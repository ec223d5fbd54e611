// Detects a policer: a box that lets a burst through and drops whatever exceeds its rate afterwards.
#pragma once

#include <cstdint>

#include "core/kcp/bbr/loss_model.h"
#include "core/kcp/bbr/model.h"

namespace kcptun::bbr {

/// The maximum of the bandwidth is that of the burst, so a policed path would lose for ever. Losses beyond
/// what was measured, without a queue, are a policer's: the average that it delivered is the rate limit for a
/// number of rounds (the long-term bandwidth of BBRv1 in Linux, tcp_bbr.c, lt_bw).
class Policer {
 public:
  /// REQUIRES: Startup has filled the pipe.
  void handle_round(const Model& model, const LossModel& losses, const AckedEvent& acked);
  /// Bytes per second; CongestionController::kUnlimited without a policer.
  std::uint64_t rate() const { return rate_; }

 private:
  struct Interval {
    TimePoint since{};
    std::uint64_t delivered = 0;  // bytes, at `since`
    std::uint64_t rounds = 0;
    std::uint64_t packets = 0;
    std::uint64_t lost = 0;
  };

  std::uint64_t rate_ = CongestionController::kUnlimited;
  std::uint64_t until_ = 0;   // round count
  std::uint64_t rounds_ = 0;  // for which the rate counted last; 0: there is no policer
  Interval interval_;
};

}  // namespace kcptun::bbr
