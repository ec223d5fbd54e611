// What the sequence numbers and types of FEC packets show about their sender's shard counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/settings.h"

namespace kcptun {

/// Keeps the set of all (data, parity) counts that agree with every packet seen. No packet contradicts the
/// true counts of a sender that keeps them, whatever was lost, reordered, duplicated or left out. So they are
/// never ruled out, and when one pair is left, it is the true one. (kcp-go measures runs of equal types
/// instead, which must be complete.)
///
/// For each group size the data counts that are left form one interval, so the set takes 255 candidates of 4
/// bytes, of which a few groups leave a handful. Its owner drops it as soon as the counts are known.
class ShardEvidence {
 public:
  ShardEvidence();

  void observe(std::uint32_t seqid, bool is_data);

  /// No counts fit: the sender has changed its counts, or a packet was another sender's.
  bool contradictory() const { return candidates_.empty(); }
  bool allows(FecSettings settings) const;
  /// True if under all pairs that are left a group of `data_shards` data packets begins at `seqid` and has at
  /// least `length` packets.
  bool agrees(std::uint32_t seqid, std::uint32_t data_shards, std::uint32_t length) const;
  /// The pair that is left, if it is only one.
  std::optional<FecSettings> settled() const;
  /// The pair with the largest groups, if each of its groups begins a group of the same data count under all
  /// pairs that are left. No more can be known if only the first few of many parity packets are ever sent: a
  /// 2/10 sender that leaves out all parity but one looks like a 2/1 sender that loses groups.
  std::optional<FecSettings> likely() const;

  /// Packets seen; each sequence number counts once at most.
  std::size_t samples() const { return samples_; }
  std::uint32_t newest() const { return newest_; }

 private:
  struct Candidate {
    std::uint16_t period;   // data and parity shards together
    std::uint8_t min_data;  // data shards are from min_data
    std::uint8_t max_data;  // to max_data; at least 1 and below period
  };
  std::vector<Candidate> candidates_;  // by ascending period
  std::size_t samples_ = 0;
  std::uint32_t newest_ = 0;
};

}  // namespace kcptun
