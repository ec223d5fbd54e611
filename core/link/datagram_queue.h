// The datagrams of a session's flows that wait to leave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/kcp/kcp.h"
#include "core/link/datagram_packet.h"
#include "core/link/datagram_reassembler.h"
#include "core/link/datagram_share.h"
#include "core/link/packet_source.h"

namespace kcptun {

/// Copies datagrams, packs those that wait into packets in their order, and splits those that are larger than
/// a packet. None waits to be packed with another.
/// Bounds: kMaxBytes and kMaxAge. What is beyond is dropped and counted, as a full queue of a router does.
class DatagramQueue final : public PacketSource {
 public:
  /// Bytes of datagrams that wait. 1 MiB is 8 ms at 1 Gbit/s, more than the loop needs between two batches,
  /// and bounds what a flood takes of a session's memory.
  static constexpr std::size_t kMaxBytes = 1024 * 1024;
  /// Datagrams that wait: the same bound for the smallest of them.
  static constexpr std::size_t kMaxDatagrams = 16384;
  /// A datagram that has waited so long is dropped: a sender without feedback must not fill a queue that adds
  /// more delay than a game or a call endures.
  static constexpr Duration kMaxAge = milliseconds(50);

  struct Counters {
    std::uint64_t packets = 0;
    std::uint64_t datagrams = 0;   // that left
    std::uint64_t bytes = 0;       // of these, with their addresses
    std::uint64_t overflowed = 0;  // dropped: the queue was full
    std::uint64_t late = 0;        // dropped: they waited for kMaxAge
    std::uint64_t oversize = 0;    // dropped: too large for kMaxFragments packets of the path
  };

  /// `kcp` outlives the queue.
  explicit DatagramQueue(Kcp& kcp) : PacketSource(Kind::kDatagram), kcp_(kcp) {}

  /// Takes a datagram of the flow `sid`, whose address comes first. False if it was dropped.
  bool add(TimePoint now, std::uint32_t sid, Bytes address, Bytes payload);
  Polled poll_packet(TimePoint now, MutableBytes room) override;
  /// When the share lets a packet leave, or a datagram becomes too old.
  std::optional<TimePoint> next_timeout() const override;
  /// Time passed.
  void handle_timeout(TimePoint now) { drop_late(now); }
  DatagramShare& share() { return share_; }
  /// Frees idle memory.
  void trim();

  bool empty() const { return waiting_.empty(); }
  std::size_t bytes() const { return bytes_.size() - begin_; }
  const Counters& counters() const { return counters_; }

 private:
  struct Waiting {
    TimePoint since{};
    std::uint32_t sid = 0;
    std::uint32_t size = 0;
  };
  /// Of the datagram at the front, while it leaves in fragments.
  struct Progress {
    Fragment next;
  };

  TimePoint late_at() const;
  void drop_late(TimePoint now);
  void pop_front();
  std::size_t packet_limit() const { return kcp_.segment_size() + kSegmentHeader; }
  bool may_send(TimePoint now);
  bool begin_fragments(std::size_t limit);
  std::size_t write_fragment(MutableBytes room);
  std::size_t write_whole(MutableBytes room);
  Bytes front_bytes() const { return Bytes(bytes_).subspan(begin_, waiting_.front().size); }

  Kcp& kcp_;
  DatagramShare share_;
  std::deque<Waiting> waiting_;
  std::vector<std::uint8_t> bytes_;  // of those, one behind the other from begin_ on
  std::size_t begin_ = 0;
  std::optional<Progress> progress_;
  std::optional<TimePoint> share_ready_at_;  // the share holds the front back
  std::uint16_t next_id_ = 0;
  std::uint32_t next_sequence_ = 0;
  Counters counters_;
};

}  // namespace kcptun
