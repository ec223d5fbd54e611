#include "core/link/packet_decoder.h"

#include <cstring>

#include "core/fec/fec_header.h"
#include "core/link/datagram_packet.h"

namespace kcptun {
namespace {

// The shortest body that is looked at, in bytes; shorter ones are dropped (docs/develop/protocol.md section
// 2).
constexpr std::size_t kMinBody = 12;

}  // namespace

PacketDecoder::PacketDecoder(const Parts& parts)
    : context_(parts.context),
      kcp_(parts.kcp),
      anti_replay_(parts.anti_replay),
      noise_(parts.noise),
      fec_(parts.context.settings.fec, parts.context.codes) {}

MutableBytes PacketDecoder::take(TimePoint now, const Packet& packet) {
  return noise_ ? noise_->take(now, packet, *anti_replay_) : anti_replay_->take(packet.bytes());
}

PacketDecoder::Fresh PacketDecoder::take_fresh(TimePoint now, std::span<const Packet> packets) {
  if (!anti_replay_) return {packets};
  context_.fresh.clear();
  const std::uint64_t newest_before = anti_replay_->packets_sent_by_peer();
  for (const Packet& packet : packets)
    if (const MutableBytes body = take(now, packet); !body.empty())
      context_.fresh.push_back({body.data(), static_cast<std::uint32_t>(body.size())});
  return {context_.fresh, anti_replay_->packets_sent_by_peer() != newest_before};
}

void PacketDecoder::handle_packets(TimePoint now, std::span<const Packet> packets) {
  packets_received_ += packets.size();
  datagram_packets_.clear();
  for (const Packet& packet : packets)
    if (packet.size >= kMinBody) handle_packet(now, packet.bytes());
}

void PacketDecoder::handle_packet(TimePoint now, MutableBytes body) {
  switch (fec_type(body)) {
    case FecType::kData:
      return handle_fec_data(now, body);
    case FecType::kParity:
      fec_.handle(body);
      return handle_recovered(now);
    case FecType::kOutOfBand:
      ++out_of_band_;  // kcptun never sends it
      return;
    case FecType::kNone:
      if (is_datagram_packet(body)) return datagram_packets_.push_back(body);
      return kcp_.handle_packet(now, body, Kcp::Origin::kArrived);
  }
}

void PacketDecoder::handle_fec_data(TimePoint now, MutableBytes body) {
  const Bytes packet = kcp_packet_in(body);
  if (!packet.data()) return;
  kcp_.handle_packet(now, packet, Kcp::Origin::kArrived);
  fec_.handle(body);
  handle_recovered(now);
}

// Copies, because the decoder reuses its memory before Kcp, or the owner of an event, is done with the view.
void PacketDecoder::handle_recovered(TimePoint now) {
  for (const Bytes packet : fec_.recovered()) {
    const PoolBuffer& copy = recovered_.emplace_back(context_.segments);
    std::memcpy(copy.data(), packet.data(), packet.size());
    kcp_.handle_packet(now, {copy.data(), packet.size()}, Kcp::Origin::kRecovered);
  }
}

}  // namespace kcptun
