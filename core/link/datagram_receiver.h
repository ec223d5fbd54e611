// Takes the peer's datagram packets apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/link/datagram_packet.h"
#include "core/link/datagram_reassembler.h"
#include "core/link/replay_window.h"

namespace kcptun {

/// A datagram of the flow whose stream is `sid`: its address, then its payload.
struct FlowDatagram {
  std::uint32_t sid = 0;
  MutableBytes bytes;
};

/// Takes each packet once, whatever the network repeats or an attacker replays, and hands out datagrams in
/// the order in which they arrived.
/// Bounds: kMaxPending datagrams that were not polled; DatagramReassembler.
class DatagramReceiver {
 public:
  /// Datagrams between two polls. A batch of received packets holds fewer, unless it is full of tiny ones.
  static constexpr std::size_t kMaxPending = 16384;

  struct Counters {
    std::uint64_t packets = 0;     // that were fresh and of this session
    std::uint64_t datagrams = 0;   // handed out
    std::uint64_t bytes = 0;       // of these
    std::uint64_t malformed = 0;   // packets that were dropped, or whose rest was, as impossible or foreign
    std::uint64_t repeated = 0;    // packets that had come before, or were too late to tell
    std::uint64_t overflowed = 0;  // datagrams beyond kMaxPending
  };

  explicit DatagramReceiver(std::uint32_t conv) : conv_(conv) {}

  /// REQUIRES: is_datagram_packet(body). Views of `body` are handed out.
  void handle_packet(TimePoint now, MutableBytes body);
  /// The next datagram, valid until release_views() or until the caller reuses the packets' memory.
  std::optional<FlowDatagram> poll();
  void release_views();
  /// True if `body` is a packet of this session that no later one has overtaken.
  bool is_newest(Bytes body) const;
  std::optional<TimePoint> next_timeout() const { return reassembler_.next_timeout(); }
  void handle_timeout(TimePoint now) { reassembler_.handle_timeout(now); }

  const Counters& counters() const { return counters_; }
  const DatagramReassembler& reassembler() const { return reassembler_; }

 private:
  /// Nothing if it is before the first.
  std::optional<std::uint64_t> packet_number(std::uint32_t sequence) const;
  void handle_record(TimePoint now, const DatagramRecord& record);

  const std::uint32_t conv_;
  ReplayWindow window_;
  DatagramReassembler reassembler_;
  std::vector<FlowDatagram> pending_;
  std::size_t polled_ = 0;
  std::vector<std::vector<std::uint8_t>> whole_;  // reassembled ones, which pending_ points into
  Counters counters_;
};

}  // namespace kcptun
