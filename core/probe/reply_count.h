// How many of a server's packets were lost on their way to us, as far as its packets tell.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/settings.h"

namespace kcptun {

/// Of packets that all were sent: how many came and how many did not.
struct LossCount {
  std::uint64_t arrived = 0;
  std::uint64_t lost = 0;
  std::uint64_t total() const { return arrived + lost; }
  double share() const {
    return total() == 0 ? 0.0 : static_cast<double>(lost) / static_cast<double>(total());
  }
  LossCount& operator+=(const LossCount& other) {
    arrived += other.arrived;
    lost += other.lost;
    return *this;
  }
};

/// A server that sends forward error correction numbers its packets (docs/protocol.md section 4): what is
/// missing between the numbers was lost. Remembers one byte per number, of at most kMaxPackets.
class ReplyCount {
 public:
  static constexpr std::uint32_t kMaxPackets = 1 << 20;  // a longer session's later packets are not counted

  /// A packet came, opened. Those without the FEC header are passed over.
  void handle(Bytes body);

  /// The server's shard counts, once its packets leave no doubt.
  std::optional<FecSettings> shards() const;
  /// Nothing while the shard counts are unknown. Parity counts if the server sends all of it: one that leaves
  /// some out must not look lossy.
  std::optional<LossCount> loss() const;

 private:
  enum class Seen : std::uint8_t { kNothing, kData, kParity };
  std::vector<Seen> seen_;  // by seqid
};

}  // namespace kcptun
