// What the sequence numbers and types of FEC packets tell about their sender's shard counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/settings.h"

namespace kcptun {

/// Keeps the set of all (data, parity) counts that agree with every packet seen, and nothing of the packets. As no
/// packet of an unchanging sender contradicts its true counts, whatever was lost, reordered, repeated or left out, the
/// truth is never ruled out; and when one pair is left, it is the truth. Runs of equal types need not be complete, as
/// they must for kcp-go's way of reading run lengths.
///
/// For each group size the data counts that are left form one interval, so the whole set takes 255 candidates of 4
/// bytes, of which a few groups' worth of packets leave a handful. Its owner drops it as soon as the counts are known.
class ShardEvidence {
 public:
  ShardEvidence();

  void observe(std::uint32_t seqid, bool is_data);

  /// Nothing fits: the sender changed its counts on the way, or some packet was another sender's.
  bool contradictory() const { return candidates_.empty(); }
  bool allows(FecSettings settings) const;
  /// Would every possible sender have begun a group of `data_shards` data packets at `seqid`, and have counted the
  /// `length` packets from there to that group?
  bool agrees(std::uint32_t seqid, std::uint32_t data_shards, std::uint32_t length) const;
  /// The one pair that is left.
  std::optional<FecSettings> settled() const;
  /// The pair with the largest groups, if each of them begins one under all pairs that are left, with as much data.
  /// Where only the first few of many parity packets ever come, no more can be known: a 2/10 sender that leaves out
  /// all but one looks like 2/1 with lost groups.
  std::optional<FecSettings> likely() const;

  /// Packets seen, each sequence number counted once at most.
  std::size_t samples() const { return samples_; }
  std::uint32_t newest() const { return newest_; }

 private:
  struct Candidate {
    std::uint16_t period;  // data and parity shards together
    std::uint8_t least;    // data shards are from `least`
    std::uint8_t most;     // to `most`; at least 1 and below period
  };
  std::vector<Candidate> candidates_;  // by ascending period
  std::size_t samples_ = 0;
  std::uint32_t newest_ = 0;
};

}  // namespace kcptun
