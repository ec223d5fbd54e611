// A path with a policer or with losses of its own, in steps of 5 ms.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "core/kcp/bbr/model.h"
#include "core/kcp/bbr/tally.h"
#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test {

/// Delivers what a sender sends one round trip later. Its policer has no bucket.
class PolicedPath {
 public:
  static constexpr Duration kStep = milliseconds(5);

  std::uint64_t limit = CongestionController::kUnlimited;  // bytes per second of the policer
  double loss = 0;                                         // of the path
  Duration rtt = milliseconds(50);
  bool app_limited = false;

  /// `rate`: bytes per second that are sent in this step. `handle` takes the batch that arrives in it.
  template <typename Handle>
  void step(double rate, Handle handle) {
    sent_ += rate * 5e-3 / kPacket;
    const auto packets = static_cast<std::uint32_t>(sent_);
    sent_ -= packets;
    tokens_ = std::min(tokens_ + static_cast<double>(limit) * 5e-3 / kPacket, 1e6);
    const std::uint32_t passed = std::min(packets, static_cast<std::uint32_t>(tokens_));
    tokens_ = limit == CongestionController::kUnlimited ? 0 : std::min(tokens_ - passed, 1.0);
    lost_ += loss * passed;
    const auto lost = static_cast<std::uint32_t>(lost_);
    lost_ -= lost;
    under_way_.push_back({passed - lost, packets - passed + lost, delivered_});
    now_ += kStep;
    if (under_way_.size() > static_cast<std::size_t>(rtt / kStep)) arrive(handle);
  }

  const Model& model() const { return model_; }
  TimePoint now() const { return now_; }

 private:
  struct Step {
    std::uint32_t arrived, lost;
    std::uint64_t delivered;
  };

  template <typename Handle>
  void arrive(Handle handle) {
    const Step step = under_way_.front();
    under_way_.pop_front();
    if (step.lost > 0) model_.count_lost({step.lost, step.lost, 0});
    AckedEvent acked;
    acked.now = now_;
    acked.packets = step.arrived;
    acked.bytes = step.arrived * kPacket;
    acked.delivered = delivered_ += acked.bytes;
    acked.rtt = rtt;
    acked.rate = RateSample{acked.bytes * 200, step.delivered, app_limited};
    model_.count_acked(acked);
    model_.end_round(acked);
    model_.update_bandwidth(acked);
    handle(Batch{acked, step.lost, step.lost});
  }

  Model model_;
  TimePoint now_ = kStart;
  std::uint64_t delivered_ = 0;
  double sent_ = 0, tokens_ = 0, lost_ = 0;
  std::deque<Step> under_way_;
};

}  // namespace kcptun::bbr::test
