#include "core/kcp/kcp.h"

#include <algorithm>
#include <array>

#include "core/base/check.h"

namespace kcptun {
namespace {

RedundancyPolicy::Scope redundancy_scope(const KcpTuning& tuning) {
  return tuning.no_congestion_control ? RedundancyPolicy::Scope::kAll : RedundancyPolicy::Scope::kParityOnly;
}

}  // namespace

Kcp::Kcp(std::uint32_t conv, const KcpSettings& settings, std::size_t packet_size, BufferPool& pool)
    : conv_(conv),
      packet_size_(packet_size),
      send_window_limit_(std::max(settings.send_window, settings.max_send_window)),
      send_(pool, packet_size - kSegmentHeader, settings.tuning),
      receive_(pool, settings.receive_window),
      receive_tuner_(settings.max_receive_window),
      path_(settings.tuning, packet_size, conv),
      redundancy_(redundancy_scope(settings.tuning)),
      acks_(settings.receive_window) {
  KCPTUN_CHECK(packet_size > kSegmentHeader && packet_size <= pool.buffer_size());
}

// --- receiving ---

void Kcp::handle_packet(TimePoint now, Bytes packet, Origin origin) {
  while (!packet.empty()) {
    const std::optional<Segment> segment = take_segment(packet);
    if (!segment || segment->conv != conv_) {
      ++counters_.errors;
      return;
    }
    ++counters_.in_segments;
    handle_segment(now, *segment, origin);
  }
}

// True if the segment must be dropped. REQUIRES: its una is not plausible. Una 0 may come from a peer that has restarted;
// another una is reordered, or forged. Beyond 2^31 segments una 0 is ahead of ours, and no restart is detected.
bool Kcp::is_una_regression(TimePoint now, const Segment& segment, Origin origin) {
  const bool regression = segment.una == 0 && serial_less(0, send_.una());
  return regression && origin == Origin::kArrived && restart_.handle_una_regression(now, segment);
}

void Kcp::handle_segment(TimePoint now, const Segment& segment, Origin origin) {
  const bool good_una = send_.plausible_una(segment.una);
  if (!good_una && is_una_regression(now, segment, origin)) return;
  if (origin == Origin::kArrived && good_una) mtu_probe_verifier_.handle_segment(now, segment, path_.rtt().timeout());
  bool fresh = false;
  // An una beyond what we sent is forged, or we have restarted and the peer has not: what the segment acknowledges and
  // advertises is void, but its data and its WASK are answered.
  if (!good_una && serial_less(send_.next(), segment.una)) {
    ++counters_.errors;
  } else {
    fresh = handle_peer_state(now, segment, origin);
  }
  if (segment.command == KcpCommand::kPush) fresh |= handle_push(now, segment, origin);
  if (segment.command == KcpCommand::kWindowProbe) acks_.request_window_update();
  if (!fresh) return;
  ++fresh_segments_;
  ping_outstanding_ = false;
  if (good_una) restart_.handle_valid_una(now);
}

// True if the segment is fresh.
bool Kcp::handle_push(TimePoint now, const Segment& segment, Origin origin) {
  const ReceiveWindow::Verdict verdict = receive_.handle_push(segment.sn, segment.data);
  const bool is_new = verdict == ReceiveWindow::Verdict::kNew;
  if (is_new && origin == Origin::kArrived) peer_clock_.observe(now, segment.ts);
  const bool fresh = is_new || (origin == Origin::kArrived && peer_clock_.advance(now, segment.ts));
  if (is_new) receive_tuner_.add_arrival();
  if (verdict == ReceiveWindow::Verdict::kOutOfWindow) {
    ++counters_.out_of_window;
    return fresh;
  }
  if (verdict == ReceiveWindow::Verdict::kDuplicate) {
    ++counters_.repeated;
    // Empty segments are echo requests (write_echo_request()) and are always acknowledged.
    if (!segment.data.empty() && acks_.ack_in_flight(now, segment.sn, path_.min_rtt())) return fresh;
  }
  acks_.add(segment.sn, segment.ts);
  return fresh;
}

// True if the segment is fresh. The acknowledgement is handled before una, which may cover it and names no transmission.
bool Kcp::handle_peer_state(TimePoint now, const Segment& segment, Origin origin) {
  bool fresh = false;
  if (segment.command == KcpCommand::kAck) fresh = handle_ack(now, segment, origin);
  if (!send_.plausible_una(segment.una)) return fresh;  // reordered
  fresh |= segment.una != send_.una();
  path_.handle_acked(send_.handle_una(now, segment.una));
  if (origin == Origin::kArrived) prober_.handle_window(segment.una, segment.window);
  return fresh;
}

// True if the segment is fresh.
bool Kcp::handle_ack(TimePoint now, const Segment& segment, Origin origin) {
  const SendWindow::AckResult ack = send_.handle_ack(now, segment.sn, segment.ts);
  if (ack.rtt && origin == Origin::kArrived) path_.handle_rtt_sample(now, *ack.rtt);
  path_.handle_acked(ack.newly_acked);
  if (ack.spurious) path_.handle_spurious_loss();
  if (serial_less(wire_ms(now), segment.ts)) return ack.newly_acked > 0;  // echoes an MTU probe, or is forged
  if (ack.newly_acked > 0 || !echo_clock_.newest()) echo_clock_.observe(now, segment.ts);
  return ack.newly_acked > 0 || echo_clock_.advance(now, segment.ts);
}

void Kcp::end_batch(TimePoint now) {
  receive_.end_batch();
  const PathState::BatchEnd batch{now, send_.in_flight(), peer_window()};
  path_.end_batch(batch, send_.end_batch(now, path_.rtt()), send_);
  if (const auto window = receive_tuner_.end_batch(now, receive_.window(), path_.rtt().minimum())) receive_.set_window(*window);
}

bool Kcp::is_fresh(Bytes packet) const {
  while (const std::optional<Segment> segment = take_segment(packet)) {
    if (segment->conv != conv_) return false;
    if (segment->una != send_.una() && send_.plausible_una(segment->una)) return true;
    if (segment->command == KcpCommand::kPush && receive_.is_ahead(segment->sn)) return true;
    if (segment->command == KcpCommand::kAck && send_.awaits(segment->sn)) return true;
  }
  return false;
}

bool Kcp::matches_challenge(Bytes packet, std::uint32_t ts) const {
  while (const std::optional<Segment> segment = take_segment(packet))
    if (segment->conv == conv_ && segment->command == KcpCommand::kAck && segment->ts == ts) return true;
  return false;
}

std::optional<ReceiveWindow::Piece> Kcp::read() {
  std::optional<ReceiveWindow::Piece> piece = receive_.read();
  if (piece) counters_.stream_bytes_in += piece->data.size();
  return piece;
}

void Kcp::handle_timeout(TimePoint now) {
  if (paced_until_ && *paced_until_ <= now) paced_until_.reset();  // write_data() sets it again if it is still due
  const Losses losses = send_.handle_timeout(now, path_.rtt());
  probe_due_ |= losses.probe_due;
  path_.handle_timeout(losses);
  prober_.handle_timeout(now);
}

// --- limits ---

void Kcp::commit(std::size_t bytes) {
  send_.commit(bytes);
  counters_.stream_bytes_out += bytes;
}

std::uint32_t Kcp::send_limit() const {
  return send_.una() + std::min({send_window_limit_, peer_window(), path_.segment_window()});
}

std::uint32_t Kcp::send_quota() const {
  return std::min({send_window_limit_, std::max(peer_window(), 1u), path_.segment_window()});
}

std::size_t Kcp::send_room() const {
  const std::uint32_t quota = send_quota();
  const std::uint32_t backlog = send_.end() - send_.next();
  const std::uint32_t limit = path_.backlog_limit(send_.in_flight_bytes(), packet_size_);
  if (send_.size() >= quota || backlog >= limit) return 0;
  return std::min(quota - send_.size(), limit - backlog) * segment_size();
}

void Kcp::set_packet_size(std::size_t bytes) {
  if (bytes < packet_size_)
    oversize_ = Oversize{send_.end(), has_oversize() ? std::max(oversize_->packet_size, packet_size_) : packet_size_};
  packet_size_ = bytes;
  send_.set_segment_size(segment_size());
}

bool Kcp::may_send_data(TimePoint now) {
  if (probe_due_) return true;  // a probe may exceed the window: the losses that it reveals make room
  if (!path_.has_window(send_.in_flight_bytes())) return false;
  if (path_.pacer().allows(now)) return true;
  if (send_.has_lost() || send_.end() != send_.next()) paced_until_ = path_.pacer().ready_at(now);
  return false;
}

// Nothing was sent. If the path would take more, it is idle because of the application or because of the windows.
void Kcp::handle_idle_path(TimePoint now, std::uint32_t limit) {
  if (send_.has_lost() || (send_.next() != send_.end() && serial_less(send_.next(), limit))) return;
  const std::uint64_t in_flight = send_.in_flight_bytes();
  if (!path_.pacer().allows(now) || !path_.has_window(in_flight)) return;
  redundancy_.begin_idle(now);
  if (send_.size() < send_quota()) return send_.rate().handle_app_limited(in_flight);
  path_.handle_window_limited(send_.rate().delivered(), std::uint64_t{send_quota()} * packet_size_);
}

RedundancyPolicy::Path Kcp::redundancy_path() const {
  return {path_.estimate().bandwidth, path_.loss(), path_has_room(), packet_size_};
}

// --- packet assembly ---

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

// A duplicate is acknowledged each time it arrives, by kcp-go too, with the time stamp of the transmission that arrived.
// Before anything is acknowledged, una - 1 is 0xffffffff, which is below what the peer expects too.
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

void Kcp::write_transmission(TimePoint now, PacketWriter& writer, const SendWindow::Transmission& transmission) {
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = wire_ms(now);
  segment.sn = transmission.sn;
  segment.data = transmission.data;
  write(writer, segment);
  if (transmission.kind == SendWindow::Kind::kRetransmission) ++counters_.retransmitted;
}

// Lost segments, then duplicate retransmissions whose gap has passed, then new segments, then the other duplicates.
std::optional<SendWindow::Transmission> Kcp::next_transmission(TimePoint now, std::uint32_t limit, std::size_t room) {
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
  }
  if (writer.size() == before) return handle_idle_path(now, limit);
  probe_due_ = false;
  if (redundancy_.is_idle()) redundancy_.end_idle(now, path_.estimate());
  path_.pacer().charge(now, charged_bytes);
}

std::size_t Kcp::redundant_room() const {
  return send_.is_thin() ? redundancy_.redundant_room(path_.loss(), path_.min_rtt(), segment_size()) : 0;
}

// Fills a packet that leaves anyhow. The loss of a keystroke then costs the gap to the next packet instead of a
// retransmission time-out.
void Kcp::write_redundant(TimePoint now, PacketWriter& writer, std::uint64_t before) {
  redundancy_.earn_credit(writer.size(), packet_size_);
  const std::uint8_t copies = RedundancyPolicy::copies(path_.loss());
  while (writer.fits(1)) {
    const std::size_t room = std::min(redundant_room(), writer.room());
    if (room == 0) return;
    const Duration overdue = *path_.rtt().smoothed() + RedundancyPolicy::kOverdueSlack;
    const std::optional<SendWindow::Transmission> transmission = send_.poll_redundant(now, {copies, overdue, room, before});
    if (!transmission) return;
    write_transmission(now, writer, *transmission);
    redundancy_.charge_redundant(transmission->data.size());
  }
}

std::size_t Kcp::poll_packet(TimePoint now, std::uint8_t* out, std::size_t limit) {
  prober_.handle_send(now);
  PacketWriter writer(out, std::min(packet_size_, limit));
  write_control(now, writer);
  const std::uint64_t first_transmit_number = send_.next_transmit_number();
  write_data(now, writer);
  if (writer.size() == 0 && has_oversize()) {  // the next segment may be too large
    writer = PacketWriter(out, std::min(oversize_->packet_size, limit));
    write_data(now, writer);
  }
  if (writer.size() == 0) return 0;
  write_redundant(now, writer, first_transmit_number);
  acks_.handle_sent(now, receive_);
  return writer.size();
}

std::optional<TimePoint> Kcp::next_timeout() const {
  return earliest(paced_until_, earliest(send_.next_timeout(path_.rtt()), prober_.next_timeout()));
}

// --- settings ---

void Kcp::update_settings(const KcpSettings& settings) {
  send_window_limit_ = std::max(settings.send_window, settings.max_send_window);
  receive_tuner_.set_max(settings.max_receive_window);
  receive_.set_window(settings.receive_window);  // the window follows the path from this value again
  path_.update_settings(settings.tuning);
  send_.update_settings(settings.tuning);
}

void Kcp::handle_new_path() {
  path_.reset(packet_size_);
  redundancy_.reset_path();
}

void Kcp::trim() {
  send_.trim();
  receive_.trim();
  acks_.trim();
}

}  // namespace kcptun
