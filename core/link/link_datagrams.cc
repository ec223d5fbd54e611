// The datagrams of a link: what Link does with its channel.
#include "core/base/check.h"
#include "core/link/link.h"

namespace kcptun {

DatagramChannel& Link::datagram_channel() {
  if (!datagrams_) datagrams_ = std::make_unique<DatagramChannel>(kcp_);
  return *datagrams_;
}

// --- receiving ---

void Link::handle_datagram_packets(TimePoint now) {
  if (!accepts_datagrams_) return;
  for (const MutableBytes body : decoder_.datagram_packets())
    datagram_channel().incoming.handle_packet(now, body);
}

std::optional<DatagramEvent> Link::poll_datagram() {
  if (!datagrams_) return std::nullopt;
  while (const std::optional<FlowDatagram> datagram = datagrams_->incoming.poll()) {
    if (const auto tag = smux_.tag(datagram->sid)) return DatagramEvent{datagram->sid, *tag, datagram->bytes};
    ++datagrams_->unmatched;
  }
  return std::nullopt;
}

// A datagram packet of this session that was not seen comes from where the peer is, as a fresh segment does.
bool Link::is_fresh(Bytes body) const {
  if (!is_datagram_packet(body)) return kcp_.is_fresh(kcp_packet_in(body));
  return datagrams_ && datagrams_->incoming.is_newest(body);
}

// --- sending ---

bool Link::send_datagram(TimePoint now, std::uint32_t sid, Bytes address, Bytes payload) {
  KCPTUN_CHECK(can_send_datagrams());
  // A server that is gone does not answer datagrams. The keepalive shows it.
  if (role_ == Role::kClient && !idle_probe_at_) idle_probe_at_ = now + kIdleProbeAfter;
  return datagram_channel().outgoing.add(now, sid, address, payload);
}

// True if the batch is full.
bool Link::transmit_datagrams(TimePoint now, TransmitBatch& batch) {
  const std::size_t stream_bytes = kcp_source_.take_bytes();
  if (!datagrams_) return false;
  datagrams_->outgoing.share().handle_stream_bytes(stream_bytes);
  if (datagrams_->outgoing.empty()) return false;
  return sender_.send(now, datagrams_->outgoing, batch);
}

// --- time ---

std::optional<TimePoint> Link::next_datagram_timeout() const {
  if (!datagrams_) return std::nullopt;
  return earliest(datagrams_->outgoing.next_timeout(), datagrams_->incoming.next_timeout());
}

void Link::handle_datagram_timeout(TimePoint now) {
  if (!datagrams_) return;
  datagrams_->outgoing.handle_timeout(now);
  datagrams_->incoming.handle_timeout(now);
}

}  // namespace kcptun
