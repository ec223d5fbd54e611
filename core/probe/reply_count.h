// Counts the server's packets that were lost towards this end, as far as their numbers show it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/settings.h"

namespace kcptun {

/// Of the packets sent: how many arrived and how many were lost.
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

/// A server with FEC numbers its packets (docs/develop/protocol.md section 4), so gaps between the numbers
/// are losses. Stores one byte per number, for at most kMaxPackets.
class ReplyCount {
 public:
  static constexpr std::uint32_t kMaxPackets = 1 << 20;  // later packets of a longer session are not counted

  /// A decrypted packet arrived. Packets without an FEC header are ignored.
  void handle(Bytes body);

  /// The server's shard counts, once its packets determine them.
  std::optional<FecSettings> shards() const;
  /// Nothing while the shard counts are unknown. Parity packets count only if the server sends all of them: a
  /// server that omits some must not appear lossy.
  std::optional<LossCount> loss() const;

 private:
  enum class Seen : std::uint8_t { kNothing, kData, kParity };
  std::vector<Seen> seen_;  // by seqid
};

}  // namespace kcptun
