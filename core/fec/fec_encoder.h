// The sending half of forward error correction: numbers data packets and computes each group's parity
// packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/fec/erasure_code.h"
#include "core/fec/fec_header.h"

namespace kcptun {

/// A group whose last data packet followed the one before it by this much or more gets no parity: the stream
/// is idle (docs/develop/protocol.md section 4).
inline constexpr Duration kParityGap = milliseconds(500);

/// One direction of one session. Within a batch it keeps views of the data packets. When a batch ends inside
/// a group, it keeps their contribution to the group's parity instead: planned parity x longest shard so far.
/// The caller owns the packets and the code, which outlives the encoder.
class FecEncoder {
 public:
  /// `first_seqid` other than 0 is for tests. REQUIRES: it is below code.wrap() and begins a group.
  explicit FecEncoder(const ErasureCode& code, std::uint32_t first_seqid = 0);

  /// True between groups: the next add() begins one.
  bool begins_group() const { return count_ == 0; }
  /// Groups have at most `count` parity packets from now on, and no more are computed. Initially: all that
  /// the code has. REQUIRES: begins_group(), count <= code.parity_shards().
  void plan_parity(std::uint32_t count);
  std::uint32_t planned_parity() const { return planned_; }

  /// Stamps `body` (kFecHeader bytes to be overwritten, then a KCP packet) as the group's next data packet.
  /// The bytes must stay there, unmodified, until finish_group() or end_batch(). True when the group is full:
  /// finish_group() must come before the next add(). REQUIRES: kFecHeader <= body.size() <= kMaxDatagram.
  bool add(TimePoint now, MutableBytes body);

  /// Body size of each parity packet of the group so far: that of its longest data packet.
  std::size_t parity_size() const { return kFecShardOffset + longest_; }

  /// Writes the first outs.size() parity packets of the full group, parity_size() bytes each (call that
  /// before), and begins the next group. Sequence numbers pass over parity that is left out, which looks lost
  /// to the receiver. Returns how many were written: none if the group's last packet came after kParityGap.
  /// REQUIRES: outs.size() <= planned_parity(), and add() has just returned true.
  std::size_t finish_group(std::span<std::uint8_t* const> outs);

  /// True if finish_group() would write nothing whatever it is given: the caller needs no room.
  bool parity_skipped() const { return skip_; }

  /// The batch is about to be sealed or reused: keeps what the unfinished group needs.
  void end_batch();

  /// Bytes held on the heap.
  std::size_t held_bytes() const { return partial_.capacity() + views_.capacity() * sizeof(Bytes); }
  std::uint32_t next_seqid() const { return next_; }

 private:
  void widen_partial();
  /// Whether the group's parity begins with the packets of this batch, or goes on from partial_.
  ErasureCode::Store parity_store() const {
    return partial_width_ == 0 ? ErasureCode::Store::kSet : ErasureCode::Store::kAdd;
  }

  const ErasureCode& code_;
  std::uint32_t planned_;  // parity packets of this group, at most
  std::uint32_t next_;     // below code_.wrap()
  std::uint32_t count_ =
      0;               // data packets of this group so far, the last views_.size() of them in this batch
  bool skip_ = false;  // kParityGap or more before the last packet
  std::optional<TimePoint> last_;
  std::size_t longest_ = 0;  // shard of this group
  std::vector<Bytes> views_;
  std::size_t partial_width_ = 0;      // 0 unless an earlier batch left packets of this group
  std::vector<std::uint8_t> partial_;  // planned_ rows of partial_width_ bytes
};

}  // namespace kcptun
