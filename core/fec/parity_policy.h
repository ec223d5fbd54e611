// How many of a group's parity packets are worth sending.
#pragma once

#include <cstdint>

#include "core/base/settings.h"

namespace kcptun {

/// Parity that is left out looks lost to the receiver, which any peer can live with (docs/develop/protocol.md section
/// 4). A parity packet saves a third of a retransmission at best, so it never pays where bandwidth is short;
/// where the path has room, it saves the round trip that a retransmission takes.
class ParityPolicy {
 public:
  explicit ParityPolicy(const FecSettings& settings) : settings_(settings) {}

  const FecSettings& settings() const { return settings_; }
  /// What the sender knows when a group begins.
  struct Situation {
    std::uint32_t group = 0;         // its number
    double loss = 0;                 // share of packets that the path loses
    std::uint32_t spare = 0;         // packets that the path would take beside the data
    std::uint32_t in_flight = 0;     // packets: a group that takes longer than a round trip repairs nothing in time
  };
  /// Parity packets of the next group, 0..parity_shards. Of kMeasurePeriod groups the first kMeasuredGroups have none,
  /// so that the loss shows; they are in a row, because what they lose is then repaired in one round trip.
  std::uint32_t next_group(const Situation& situation);

  /// Groups that the receiver cannot complete are to be rarer than this: each keeps all that follows waiting, and shuts
  /// the window of a stream, or of the session, meanwhile.
  static constexpr double kFailures = 0.001;
  static constexpr std::uint32_t kMeasuredGroups = 8;
  static constexpr std::uint32_t kMeasurePeriod = 1024;

 private:
  std::uint32_t needed(double loss);

  const FecSettings settings_;
  double loss_of_needed_ = 0;  // what needed_ was computed for
  std::uint32_t needed_ = 0;
};

/// Fewest parity packets with which a group of `data` packets fails, losing more than those, with a chance of
/// at most `failures`, if each packet is lost with a chance of `loss`; `most` where it takes more.
std::uint32_t parity_for(std::uint32_t data, std::uint32_t most, double loss, double failures);

}  // namespace kcptun
