// What the path loses by itself, whatever is sent.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kcp/bbr/model.h"

namespace kcptun::bbr {

/// Packets over which a share of loss is judged: at 1 % two standard deviations are another 1 %. Lower:
/// chance decides, and of two sessions the slower one yields more often. Higher: an overflowing queue is
/// noticed later. [sim] goodput_test, "two conversations share a path within 40:60, the second one late".
inline constexpr std::uint64_t kJudgedPackets = 400;
/// Packets that one measurement takes. Lower: measured() is true for a guess. Higher: the phase that sends
/// less lasts longer. [sim] path_change_test, "behind a policer the sender finds the rate at which little is
/// dropped".
inline constexpr double kMeasuredPackets = 64;

/// The share of packets that is sent on top of the bandwidth, because the path drops as many. It is the
/// smallest share that a round of the last cycle lost, and no more than was measured while less was sent than
/// the path takes: a full queue or a policer drops nothing then.
class LossModel {
 public:
  /// REQUIRES: Startup has filled the pipe, or its own losses would count.
  void handle_round(const Round& last);
  /// Packets that left while less was sent than the path takes.
  void measure(std::uint64_t packets, std::uint64_t lost);

  /// 0..kMaxShare.
  double share() const { return share_; }
  bool measured() const { return measured_packets_ >= kMeasuredPackets; }
  /// What the path may lose by itself as far as was measured: two standard deviations above.
  double bound() const;

 private:
  double share_ = 0;
  double cycle_share_ = 1;  // the smallest of the rounds so far
  std::size_t cycle_rounds_ = 0;
  double measured_packets_ = 0;  // older ones weigh less
  double measured_lost_ = 0;
};

}  // namespace kcptun::bbr
