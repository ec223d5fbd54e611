// Two KCP ends without a link around them, joined by a wire that loses nothing.
#pragma once

#include <cstring>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/kcp/kcp.h"
#include "core/link/piece_cursor.h"

namespace kcptun::test {

using Buffer = std::vector<std::uint8_t>;

inline constexpr std::uint32_t kConv = 7;
inline constexpr std::size_t kKcpPacket = 1000;

struct KcpPair {
  explicit KcpPair(const KcpSettings& settings = {})
      : client(kConv, settings, kKcpPacket, pool), server(kConv, settings, kKcpPacket, pool) {}

  static void write(Kcp& kcp, Bytes bytes) {
    std::vector<MutableBytes> pieces;
    kcp.prepare(bytes.size(), pieces);
    PieceCursor(pieces).write(bytes);
    kcp.commit(bytes.size());
  }
  static Buffer read(Kcp& kcp) {
    Buffer out;
    while (const auto piece = kcp.read()) out.insert(out.end(), piece->data.begin(), piece->data.end());
    return out;
  }
  /// A packet that arrives alone.
  void deliver(Bytes packet, Kcp& to) const {
    to.handle_packet(now, packet, Kcp::Origin::kArrived);
    to.end_batch(now);
  }
  /// All packets that are due at one end arrive at the other.
  void carry(Kcp& from, Kcp& to) const {
    Buffer packet(kMaxDatagram);
    while (const std::size_t size = from.poll_packet(now, packet.data()))
      deliver(Bytes(packet).first(size), to);
  }
  /// Both ends hear each other, and a round trip of 40 ms is measured.
  void meet() {
    write(client, Buffer(100, 1));
    write(server, Buffer(100, 2));
    for (int i = 0; i < 3; ++i) {
      carry(client, server);
      now += milliseconds(20);
      carry(server, client);
      now += milliseconds(20);
    }
    read(client);
    read(server);
  }

  TimePoint now{seconds(100)};
  BufferPool pool{kMaxDatagram};
  Kcp client;
  Kcp server;
};

}  // namespace kcptun::test
