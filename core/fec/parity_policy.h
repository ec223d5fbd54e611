// How many parity packets a group gets.
#pragma once

#include <cstdint>

#include "core/base/settings.h"

namespace kcptun {

/// Parity that is left out looks lost to the receiver, which every peer accepts (docs/develop/protocol.md
/// section 4). A parity packet saves a third of a retransmission at best, so it costs bandwidth where that is
/// short. Where the path has room, it saves the round trip of a retransmission.
class ParityPolicy {
 public:
  explicit ParityPolicy(const FecSettings& settings) : settings_(settings) {}

  const FecSettings& settings() const { return settings_; }
  /// The group that begins, and the path.
  struct Conditions {
    std::uint32_t group = 0;          // its number
    double loss = 0;                  // share of packets that the path loses
    std::uint32_t idle_capacity = 0;  // packets that the path would carry beside the data
    std::uint32_t in_flight =
        0;  // packets; parity of a group that takes longer than a round trip comes too late
  };
  /// Parity packets of the next group, 0..parity_shards. Of each kMeasurePeriod groups the first
  /// kMeasuredGroups have none, so that the loss can be measured. They are consecutive, so that one round
  /// trip repairs what they lose.
  std::uint32_t next_group(const Conditions& conditions);

  /// The share of groups that may fail to recover. Each of them delays all that follows by a retransmission,
  /// and may fill the window meanwhile.
  static constexpr double kFailures = 0.001;
  static constexpr std::uint32_t kMeasuredGroups = 8;
  static constexpr std::uint32_t kMeasurePeriod = 1024;

 private:
  std::uint32_t needed(double loss);

  const FecSettings settings_;
  double loss_of_needed_ = 0;  // what needed_ was computed for
  std::uint32_t needed_ = 0;
};

/// The fewest parity packets, but at most `max_parity`, with which a group of `data` packets loses more
/// packets than it has parity with a probability of at most `failures`. `loss`: each packet's probability to
/// be lost.
std::uint32_t parity_for(std::uint32_t data, std::uint32_t max_parity, double loss, double failures);

}  // namespace kcptun
