// Turns opened datagrams of a session into KCP packets.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/packet.h"
#include "core/base/time.h"
#include "core/fec/fec_decoder.h"
#include "core/kcp/kcp.h"
#include "core/link/anti_replay.h"
#include "core/link/link_context.h"
#include "core/link/noise_session.h"

namespace kcptun {

/// Drops what is not fresh (under a suite with a session header), takes the FEC header off, and passes on to
/// Kcp what arrived and what FEC has recovered. Sets the packets of the datagram channel aside.
class PacketDecoder {
 public:
  /// What it works for; all outlive the decoder.
  struct Parts {
    LinkContext& context;
    Kcp& kcp;
    AntiReplay* anti_replay;  // null: the suite has no session header
    NoiseSession* noise;      // null: the suite has opened the packets
  };
  explicit PacketDecoder(const Parts& parts);
  PacketDecoder(const PacketDecoder&) = delete;
  PacketDecoder& operator=(const PacketDecoder&) = delete;

  /// What may change the session's state.
  struct Fresh {
    std::span<const Packet> bodies;  // without session headers; valid until the next call
    bool newest = false;             // one of them is newer than all before
  };
  Fresh take_fresh(TimePoint now, std::span<const Packet> packets);
  /// Passes the bodies of take_fresh() on to Kcp.
  void handle_packets(TimePoint now, std::span<const Packet> packets);
  /// The bodies of the last handle_packets() that are packets of the datagram channel.
  std::span<const MutableBytes> datagram_packets() const { return datagram_packets_; }
  /// The memory of the packets is about to be reused.
  void end_batch() { fec_.end_batch(); }
  /// Recovered packets live until then.
  void release_views() { recovered_.clear(); }

  const FecDecoder& fec() const { return fec_; }
  /// Packets of any kind.
  std::uint64_t packets_received() const { return packets_received_; }
  /// Packets of type kOutOfBand, which are dropped.
  std::uint64_t out_of_band() const { return out_of_band_; }

 private:
  MutableBytes take(TimePoint now, const Packet& packet);
  void handle_packet(TimePoint now, MutableBytes body);
  void handle_fec_data(TimePoint now, MutableBytes body);
  void handle_recovered(TimePoint now);

  LinkContext& context_;
  Kcp& kcp_;
  AntiReplay* const anti_replay_;
  NoiseSession* const noise_;
  FecDecoder fec_;
  std::vector<PoolBuffer> recovered_;  // Kcp, and then events, point into them
  std::vector<MutableBytes> datagram_packets_;
  std::uint64_t packets_received_ = 0;
  std::uint64_t out_of_band_ = 0;
};

}  // namespace kcptun
