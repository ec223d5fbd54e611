#include "core/kcp/kcp.h"

#include <algorithm>

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
      redundancy_(redundancy_scope(settings.tuning), settings.thin),
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

// True if the segment must be dropped. REQUIRES: its una is not plausible. Una 0 may come from a peer that
// has restarted; another una is reordered, or forged. Beyond 2^31 segments una 0 is ahead of ours, and no
// restart is detected.
bool Kcp::is_una_regression(TimePoint now, const Segment& segment, Origin origin) {
  const bool regression = segment.una == 0 && serial_less(0, send_.una());
  return regression && origin == Origin::kArrived && restart_.handle_una_regression(now, segment);
}

void Kcp::handle_segment(TimePoint now, const Segment& segment, Origin origin) {
  const bool good_una = send_.plausible_una(segment.una);
  if (!good_una && is_una_regression(now, segment, origin)) return;
  if (origin == Origin::kArrived && good_una)
    mtu_probe_verifier_.handle_segment(now, segment, path_.rtt().timeout());
  bool fresh = false;
  // An una beyond what we sent is forged, or we have restarted and the peer has not: what the segment
  // acknowledges and advertises is void, but its data and its WASK are answered.
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
    // Empty segments are echo requests (write_echo_request()) and are always acknowledged. So are late
    // transmissions that a copy has overtaken: the peer takes them for lost (OvertakenTransmissions).
    if (!segment.data.empty() && acks_.ack_in_flight(now, segment.sn, path_.min_rtt())) {
      const bool late = origin == Origin::kArrived && peer_clock_.newest() &&
                        serial_less(segment.ts, *peer_clock_.newest());
      if (late) acks_.add_late(segment.sn, segment.ts);
      return fresh;
    }
  }
  acks_.add(segment.sn, segment.ts);
  return fresh;
}

// True if the segment is fresh. The acknowledgement is handled before una, which may cover it and names no
// transmission.
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
  path_.handle_time(now);
  receive_.end_batch();
  const PathState::BatchEnd batch{now, send_.in_flight() * packet_size_, peer_window() * packet_size_};
  path_.end_batch(batch, send_.end_batch(now, path_.rtt()), send_);
  if (const auto window = receive_tuner_.end_batch(now, receive_.window(), path_.rtt().minimum()))
    receive_.set_window(*window);
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
  path_.handle_time(now);
  if (paced_until_ && *paced_until_ <= now) paced_until_.reset();  // write_data() may set it again
  if (copies_at_ && *copies_at_ <= now) copies_at_.reset();        // so may poll_packet()
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

std::uint32_t Kcp::send_quota() const {
  return std::min({send_window_limit_, std::max(peer_window(), 1u), path_.segment_window(packet_size_)});
}

std::uint32_t Kcp::backlog_limit() const {
  return path_.backlog_limit(send_.in_flight_bytes(), packet_size_);
}

std::size_t Kcp::send_room() const {
  const std::uint32_t quota = send_quota();
  const std::uint32_t backlog = send_.end() - send_.next();
  const std::uint32_t limit = backlog_limit();
  if (send_.size() >= quota || backlog >= limit) return 0;
  return std::min(quota - send_.size(), limit - backlog) * segment_size();
}

void Kcp::set_packet_size(std::size_t bytes) {
  if (bytes < packet_size_)
    oversize_ =
        Oversize{send_.end(), has_oversize() ? std::max(oversize_->packet_size, packet_size_) : packet_size_};
  packet_size_ = bytes;
  path_.handle_mtu_change(bytes);
  send_.set_segment_size(segment_size());
}

RedundancyPolicy::Path Kcp::redundancy_path() const {
  const Duration min_rtt = path_.min_rtt();
  const Duration queue = path_.rtt().smoothed().value_or(min_rtt) - min_rtt;
  return {path_.estimate().bandwidth,
          path_.loss(),
          path_.assumed_loss(),
          path_has_room(),
          packet_size_,
          min_rtt,
          queue};
}

std::optional<TimePoint> Kcp::next_timeout() const {
  return earliest(earliest(paced_until_, copies_at_),
                  earliest(send_.next_timeout(path_.rtt()), prober_.next_timeout()));
}

// --- settings ---

void Kcp::update_settings(const KcpSettings& settings) {
  send_window_limit_ = std::max(settings.send_window, settings.max_send_window);
  receive_tuner_.set_max(settings.max_receive_window);
  receive_.set_window(settings.receive_window);  // the window follows the path from this value again
  path_.update_settings(settings.tuning);
  redundancy_.set_thin_mode(settings.thin);
  send_.update_settings(settings.tuning);
}

void Kcp::handle_new_path() {
  path_.reset();
  redundancy_.reset_path();
}

void Kcp::trim() {
  send_.trim();
  receive_.trim();
  acks_.trim();
}

}  // namespace kcptun
