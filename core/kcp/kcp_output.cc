// Packet assembly: what leaves in which packet.
#include <algorithm>
#include <array>

#include "core/kcp/kcp.h"

namespace kcptun {

// --- control segments ---

Segment Kcp::blank_segment(KcpCommand command) const {
  Segment segment;
  segment.conv = conv_;
  segment.command = command;
  segment.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(receive_.free(), 65535));
  segment.una = receive_.next();
  return segment;
}

void Kcp::write(PacketWriter& writer, const Segment& segment) {
  writer.write(segment);
  ++counters_.out_segments;
}

void Kcp::write_mtu_probe(std::uint32_t ts, std::size_t size, std::uint8_t* out) {
  PacketWriter writer(out, size);
  static constexpr std::array<std::uint8_t, kMaxDatagram> kPadding{};
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = ts;
  segment.sn = send_.una() - 1;
  segment.data = Bytes(kPadding).first(size - kProbeHeaders);
  write(writer, segment);
  write(writer, blank_segment(KcpCommand::kWindowProbe));
  mtu_probe_verifier_.begin(ts, peer_window());
}

// A duplicate is acknowledged each time it arrives, by kcp-go too, with the time stamp of the transmission
// that arrived. Before anything is acknowledged, una - 1 is 0xffffffff, which is below what the peer expects
// too.
std::size_t Kcp::write_echo_request(std::uint32_t ts, std::uint8_t* out) {
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = ts;
  segment.sn = send_.una() - 1;
  PacketWriter writer(out, kSegmentHeader);
  write(writer, segment);
  return writer.size();
}

// An echo request; the WASK follows with write_window_probe().
void Kcp::write_ping(TimePoint now, PacketWriter& writer) {
  if (!writer.fits(kSegmentHeader)) return;
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = wire_ms(now);
  segment.sn = send_.una() - 1;
  write(writer, segment);
  ping_due_ = false;
  prober_.request();
}

void Kcp::write_window_probe(TimePoint now, PacketWriter& writer) {
  if (!writer.fits(0)) return;
  write(writer, blank_segment(KcpCommand::kWindowProbe));
  prober_.handle_sent();
  ping_outstanding_ = true;
  mtu_probe_verifier_.handle_ping_sent(now);
}

void Kcp::write_window_update(PacketWriter& writer) {
  if (!writer.fits(0)) return;
  write(writer, blank_segment(KcpCommand::kWindowUpdate));
  acks_.handle_window_update_sent();
}

void Kcp::write_restart_challenge(TimePoint now, PacketWriter& writer) {
  if (!writer.fits(0) || !restart_.poll_challenge(now, path_.rtt().timeout())) return;
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = wire_ms(now);
  segment.sn = PeerRestartDetector::kChallengeSn;
  write(writer, segment);
}

void Kcp::write_control(TimePoint now, PacketWriter& writer) {
  if (acks_.has_acks()) counters_.out_segments += acks_.write(writer, blank_segment(KcpCommand::kAck));
  if (ping_due_) write_ping(now, writer);
  if (prober_.due()) write_window_probe(now, writer);
  if (acks_.window_update_due(writer.size(), receive_)) write_window_update(writer);
  if (restart_.challenge_due()) write_restart_challenge(now, writer);
}

// --- data ---

std::uint32_t Kcp::send_limit() const {
  return send_.una() + std::min({send_window_limit_, peer_window(), path_.segment_window(packet_size_)});
}

bool Kcp::may_send_data(TimePoint now) {
  if (probe_due_) return true;  // a probe may exceed the window: the losses that it reveals make room
  if (!path_.has_window(send_.in_flight_bytes())) return false;
  if (path_.pacer().allows(now)) return true;
  if (send_.has_lost() || send_.end() != send_.next()) paced_until_ = path_.pacer().ready_at(now);
  return false;
}

// Nothing was sent. If the path would take more, it is idle because of the application or because of the
// windows.
void Kcp::handle_idle_path(TimePoint now, std::uint32_t limit) {
  if (send_.has_lost() || (send_.next() != send_.end() && serial_less(send_.next(), limit))) return;
  const std::uint64_t in_flight = send_.in_flight_bytes();
  if (!path_.pacer().allows(now) || !path_.has_window(in_flight)) return;
  redundancy_.begin_idle(now);
  if (send_.size() < send_quota()) return send_.rate().handle_app_limited(in_flight);
  path_.handle_window_limited(send_.rate().delivered(), std::uint64_t{send_quota()} * packet_size_);
}

void Kcp::write_transmission(TimePoint now, PacketWriter& writer,
                             const SendWindow::Transmission& transmission) {
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = wire_ms(now);
  segment.sn = transmission.sn;
  segment.data = transmission.data;
  write(writer, segment);
  if (transmission.kind == SendWindow::Kind::kRetransmission) ++counters_.retransmitted;
}

// Lost segments, then duplicate retransmissions whose gap has passed, then new segments, then the other
// duplicates.
std::optional<SendWindow::Transmission> Kcp::next_transmission(TimePoint now, std::uint32_t limit,
                                                               std::size_t room) {
  using Gap = RedundantTransmissions::Gap;
  if (send_.has_lost()) {
    send_.set_retransmissions(redundancy_.duplicates_retransmissions(redundancy_path())
                                  ? SendWindow::Retransmissions::kTwice
                                  : SendWindow::Retransmissions::kOnce);
  } else if (send_.has_duplicate_retransmissions()) {
    if (auto duplicate = send_.poll_duplicate_retransmission(now, Gap::kKeep, room)) return duplicate;
  }
  std::optional<SendWindow::Transmission> next = send_.poll_transmission(now, limit, room);
  if (next || !send_.has_duplicate_retransmissions()) return next;
  return send_.poll_duplicate_retransmission(now, Gap::kNow, room);
}

// Spends the budget on duplicates, and has copies follow the others.
void Kcp::handle_transmission(TimePoint now, const SendWindow::Transmission& transmission) {
  if (transmission.kind == SendWindow::Kind::kRedundant)
    return redundancy_.charge(kSegmentHeader + transmission.data.size());
  if (transmission.kind == SendWindow::Kind::kFirst)
    redundancy_.handle_data_sent(now, transmission.data.size());
  if (redundancy_.copies_in_use()) send_.add_copies(now, transmission);
}

void Kcp::write_data(TimePoint now, PacketWriter& writer) {
  paced_until_.reset();
  if (!may_send_data(now)) return;
  const std::uint32_t limit = send_limit();
  const std::size_t before = writer.size();
  std::uint64_t charged_bytes = 0;
  while (writer.fits(1)) {
    const std::optional<SendWindow::Transmission> transmission = next_transmission(now, limit, writer.room());
    if (!transmission) break;
    write_transmission(now, writer, *transmission);
    charged_bytes += send_.charged_bytes(transmission->data.size());
    handle_transmission(now, *transmission);
  }
  if (writer.size() == before) return handle_idle_path(now, limit);
  probe_due_ = false;
  if (redundancy_.is_idle()) redundancy_.end_idle(now, path_.estimate());
  path_.handle_sent(now, charged_bytes, send_.in_flight_bytes());
}

// Copies in a packet that leaves anyhow cost no header. REQUIRES: the writer has something.
void Kcp::write_copies(TimePoint now, PacketWriter& writer, std::uint8_t copies) {
  while (writer.fits(1)) {
    const std::size_t room = std::min(redundancy_.copy_room(0), writer.room());
    const std::optional<SendWindow::Transmission> copy = send_.poll_redundant(now, {copies, room});
    if (!copy) return;
    write_transmission(now, writer, *copy);
    redundancy_.charge(kSegmentHeader + copy->data.size());
  }
}

// A packet of copies. It waits for the pacer only: other limits last for longer than copies are of use.
// REQUIRES: the writer is empty.
void Kcp::write_due_copies(TimePoint now, PacketWriter& writer, std::uint8_t copies) {
  const std::optional<TimePoint> due = send_.next_copy_at(copies);
  if (!due || *due > now || !path_.pacer().allows(now)) return;
  const std::uint64_t in_flight = send_.in_flight_bytes();
  const bool permitted = send_.all_sent() && path_.has_window(in_flight) &&
                         redundancy_.copy_room(RedundancyPolicy::kDatagramHeaders) > 0;
  if (permitted) {
    redundancy_.charge(RedundancyPolicy::kDatagramHeaders);
    write_copies(now, writer, copies);
    if (writer.size() > 0) path_.handle_sent(now, writer.size(), in_flight);
  }
  send_.drop_due_copies(now);
}

std::size_t Kcp::poll_packet(TimePoint now, std::uint8_t* out, std::size_t limit) {
  prober_.handle_send(now);
  PacketWriter writer(out, std::min(packet_size_, limit));
  write_control(now, writer);
  const std::uint8_t copies =
      redundancy_.may_have_copies(now) ? redundancy_.decide_copies(now, redundancy_path()) : std::uint8_t{0};
  write_data(now, writer);
  if (writer.size() == 0 && has_oversize()) {  // the next segment may be too large
    writer = PacketWriter(out, std::min(oversize_->packet_size, limit));
    write_data(now, writer);
  }
  if (copies == 0) {
    send_.drop_copies();
  } else if (writer.size() == 0) {
    write_due_copies(now, writer, copies);
  } else {
    redundancy_.earn(writer.size(), packet_size_);
    write_copies(now, writer, copies);
  }
  copies_at_ = send_.next_copy_at(copies);
  if (copies_at_ && !path_.pacer().allows(now))
    copies_at_ = std::max(*copies_at_, path_.pacer().ready_at(now));
  if (writer.size() == 0) return 0;
  acks_.handle_sent(now, receive_);
  return writer.size();
}

}  // namespace kcptun
