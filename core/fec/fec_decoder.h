// The receiving half of forward error correction: collects groups and recovers their lost data packets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/settings.h"
#include "core/fec/erasure_code_cache.h"
#include "core/fec/fec_header.h"
#include "core/fec/shard_evidence.h"

namespace kcptun {

struct FecDecoderCounters {
  std::uint64_t data_received = 0;
  std::uint64_t parity_received = 0;
  std::uint64_t full_groups = 0;   // all data arrived
  std::uint64_t recovered = 0;     // KCP packets handed out
  std::uint64_t short_groups = 0;  // closed with too few packets to recover
  std::uint64_t errors = 0;        // malformed packets, groups whose shards do not fit each other
  std::uint64_t relearned = 0;     // times that the assumed shard counts of the sender were wrong
};

/// One direction of one session. Knows FEC packets and the sender's shard counts; of KCP only that its
/// packets have at least 24 bytes. It never returns a packet that the sender did not send, if the sender
/// keeps its counts for a session:
/// * It starts from its own counts, but recovers only what every pair of counts that agrees with the packets
/// so far
///   would recover alike. With equal counts at both ends that is from the first group on, except that a group
///   that lost its last data or first parity packet may wait for the next group's.
/// * After the first contradiction, and from the start without own counts, it recovers nothing until one pair
/// of counts
///   is left and was seen over two groups. Then it begins with the group after the newest.
/// Parity that the sender leaves out looks like loss.
///
/// Memory: kLiveGroups groups of at most 256 packets of kMaxDatagram bytes; only packets of groups that are
/// incomplete when a batch ends are copied. Also 16 bytes of table per packet, and 1 KiB of evidence until
/// the counts are known.
class FecDecoder {
 public:
  /// `own`: this end's configured counts, or disabled. `codes` outlives the decoder.
  FecDecoder(FecSettings own, ErasureCodeCache& codes);

  /// Takes one FEC packet: `body` from seqid on, fec_type() kData or kParity. The bytes must stay there,
  /// unmodified, until end_batch(). The caller handles a data packet's own KCP packet itself.
  void handle(Bytes body);

  /// The KCP packets that the last handle() recovered. Valid until the next handle() or end_batch().
  std::span<const Bytes> recovered() const { return recovered_; }

  /// The batch's memory is about to be reused: copies what incomplete groups still need.
  void end_batch();

  /// The sender's counts, known or assumed; none while nothing is recovered.
  std::optional<FecSettings> shard_set() const;
  const FecDecoderCounters& counters() const { return counters_; }
  /// Groups that have packets and wait for others.
  std::size_t open_groups() const;
  /// Parity packets of those groups. Other received parity has either recovered a packet or was not needed.
  std::size_t parity_waiting() const;
  /// The number of the newest live group whose data has all arrived or been recovered.
  std::optional<std::uint32_t> newest_done() const;
  /// Bytes held on the heap, the shared code left out.
  std::size_t held_bytes() const;

  /// The newest group and three behind it, as kcp-go keeps them.
  static constexpr std::uint32_t kLiveGroups = 4;

 private:
  struct Shard {
    const std::uint8_t* view = nullptr;  // in the batch; null if kept in Group::kept at `offset`
    std::uint32_t offset = 0;
    std::uint16_t size = 0;  // 0: not here
  };
  enum class GroupState : std::uint8_t { kFree, kOpen, kDone };
  struct Group {
    std::uint32_t id = 0;
    GroupState state = GroupState::kFree;
    bool has_views = false;  // some shards are views of the batch
    std::uint32_t data = 0;
    std::uint32_t parity = 0;
    std::vector<Shard> shards;
    std::vector<std::uint8_t> kept;
    std::vector<std::uint8_t> output;  // recovered shards, until the batch ends
    Bytes bytes(std::size_t position) const {
      const Shard& shard = shards[position];
      return {shard.view ? shard.view : kept.data() + shard.offset, shard.size};
    }
    std::size_t received() const { return data + parity; }
  };

  bool fits(std::uint32_t seqid, bool is_data) const;
  bool learn(std::uint32_t seqid, bool is_data);
  void drop_counts();
  void adopt(FecSettings settings);
  void insert(std::uint32_t seqid, Bytes body);
  Group* find_group(std::uint32_t id);
  bool advance_to(std::uint32_t id);
  std::uint32_t age(std::uint32_t id) const;
  void open(Group& group, std::uint32_t id);
  void close(Group& group);
  void complete(Group& group);
  void try_recover(Group& group);
  void recover(Group& group);
  bool consistent(const Group& group, std::size_t width) const;
  void decode(Group& group, std::span<const std::uint32_t> lost, std::size_t width);
  void copy_views(Group& group);

  ErasureCodeCache& codes_;
  ErasureCodeCache::Use code_;               // none while the counts are unknown: then no group is kept
  std::unique_ptr<ShardEvidence> evidence_;  // none once the counts are known
  std::array<Group, kLiveGroups> groups_;
  std::optional<std::uint32_t> newest_;  // group; all open and done ones have age() < kLiveGroups
  std::uint32_t stale_ = 0;              // packets in a row that belonged to older groups
  std::vector<Bytes> recovered_;
  FecDecoderCounters counters_;
};

}  // namespace kcptun
