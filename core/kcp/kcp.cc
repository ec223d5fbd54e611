#include "core/kcp/kcp.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/check.h"
#include "core/base/packet.h"
#include "core/base/serial.h"

namespace kcptun {
namespace {

constexpr Duration kRtoFloor = milliseconds(100);
constexpr Duration kRtoFloorNodelay = milliseconds(30);
constexpr Duration kFirstProbe = milliseconds(500);
constexpr Duration kMaxProbe = seconds(120);
// What may be queued behind what leaves now. What is written later waits for it, so it is short.
constexpr Duration kBacklogTime = milliseconds(4);
constexpr std::uint32_t kMinBacklog = 8;  // segments
// How many round trips' worth a receive window has that follows the path.
constexpr std::uint64_t kReceiveRoundTrips = 4;
constexpr Duration kAssumedRoundTrip =
    milliseconds(100);  // of a side that sends nothing that is acknowledged
constexpr Duration kMinMeasure = milliseconds(1);
// Small segments are repeated where the path loses more than this, and is longer than that.
constexpr double kRedundantLoss = 0.001;
constexpr Duration kRedundantRoundTrip = milliseconds(5);
// Windows' worth of data for which it is remembered that they were the limit.
constexpr std::uint64_t kWindowMemory = 2;
constexpr double kDuplicateRetransmissionLoss = 0.01;  // share of packets from which on retransmissions leave twice
constexpr double kTwoRedundantCopiesLoss = 0.03;  // from here on twice: one message in a hundred would be lost twice on one of two ways
constexpr std::size_t kDatagramHeaders = 56;  // IP, UDP, nonce, FEC: they are the thin stream's, too
constexpr Duration kRedundantSlack = milliseconds(4);

SendWindow::Settings send_settings(const KcpTuning& tuning, std::size_t segment_size) {
  return {segment_size, tuning.resend, tuning.nodelay, 0, tuning.no_congestion_control};
}

Duration rto_floor(const KcpTuning& tuning) { return tuning.nodelay ? kRtoFloorNodelay : kRtoFloor; }

}  // namespace

Kcp::Kcp(std::uint32_t conv, const KcpSettings& settings, std::size_t packet_size, BufferPool& pool)
    : conv_(conv),
      packet_size_(packet_size),
      send_window_limit_(std::max(settings.send_window, settings.max_send_window)),
      max_receive_window_(settings.max_receive_window),
      detects_by_time_(settings.tuning.no_congestion_control),
      send_(pool, send_settings(settings.tuning, packet_size - kSegmentHeader)),
      receive_(pool, settings.receive_window),
      tuning_(settings.tuning),
      rtt_(rto_floor(settings.tuning), settings.tuning.interval),
      congestion_(make_congestion_controller(settings.tuning, packet_size, conv)),
      last_advertised_window_(settings.receive_window) {
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

// True if the segment must be dropped. Beyond 2^31 segments una 0 is ahead, not behind: nothing is told from it there.
bool Kcp::is_una_regression(TimePoint now, const Segment& segment, Origin origin) {
  if (send_.plausible_una(segment.una)) return false;
  const bool forgetful = segment.una == 0 && serial_less(0, send_.una());  // else old and reordered, or a lie
  return forgetful && origin == Origin::kArrived && restart_.handle_una_regression(now, segment);
}

void Kcp::handle_segment(TimePoint now, const Segment& segment, Origin origin) {
  if (is_una_regression(now, segment, origin)) return;
  const bool good_una = send_.plausible_una(segment.una);
  if (origin == Origin::kArrived && good_una) mtu_probe_verifier_.handle_segment(now, segment, rtt_.timeout());
  bool fresh = false;
  // An una ahead of what we sent is a lie, or we are the other life of a peer that it remembers: nothing that it says of
  // our segments counts, but what it sends and asks is answered.
  if (serial_less(send_.next(), segment.una)) {
    ++counters_.errors;
  } else {
    fresh = handle_peer_state(now, segment, origin);
  }
  if (segment.command == KcpCommand::kPush) fresh |= handle_push(now, segment, origin);
  if (segment.command == KcpCommand::kWindowProbe) window_update_due_ = true;
  if (!fresh) return;
  ++fresh_segments_;
  ping_outstanding_ = false;
  if (good_una) restart_.handle_valid_una(now);
}

// True if it is fresh.
bool Kcp::handle_push(TimePoint now, const Segment& segment, Origin origin) {
  const ReceiveWindow::Verdict verdict = receive_.handle_push(segment.sn, segment.data);
  const bool is_new = verdict == ReceiveWindow::Verdict::kNew;
  if (is_new && origin == Origin::kArrived) peer_clock_.observe(now, segment.ts);
  const bool fresh = is_new || (origin == Origin::kArrived && peer_clock_.advance(now, segment.ts));
  if (is_new) ++arrivals_;
  if (verdict == ReceiveWindow::Verdict::kOutOfWindow) {
    ++counters_.out_of_window;
    return fresh;
  }
  if (verdict == ReceiveWindow::Verdict::kDuplicate) {
    ++counters_.repeated;
    if (!segment.data.empty() && ack_in_flight(now, segment.sn)) return fresh;
  }
  acks_.add(segment.sn, segment.ts);
  return fresh;
}

// A copy that comes within a round trip of our telling that we have it left before the peer could read that: it was sent
// for safety. An answer would be a packet for nothing. Empty ones are questions (write_echo_request()).
bool Kcp::ack_in_flight(TimePoint now, std::uint32_t sn) const {
  return serial_less(sn, last_advertised_una_) && now - last_advertised_at_ < rtt_.minimum().value_or(Duration(0));
}

// True if it is fresh.
bool Kcp::handle_peer_state(TimePoint now, const Segment& segment, Origin origin) {
  bool fresh = false;
  if (segment.command == KcpCommand::kAck) fresh = handle_ack(now, segment, origin);  // before una, which may cover it and knows no copy
  if (!send_.plausible_una(segment.una)) return fresh;  // old and reordered
  fresh |= segment.una != send_.una();
  acked_.packets += send_.handle_una(now, segment.una);
  if (origin == Origin::kArrived) handle_peer_window(segment);
  return fresh;
}

bool Kcp::handle_ack(TimePoint now, const Segment& segment, Origin origin) {
  const SendWindow::AckResult ack = send_.handle_ack(now, segment.sn, segment.ts);
  if (ack.rtt && origin == Origin::kArrived) {
    rtt_.add_sample(now, *ack.rtt);
    acked_.rtt = std::min(acked_.rtt.value_or(*ack.rtt), *ack.rtt);
  }
  acked_.packets += ack.newly_acked;
  if (ack.spurious) congestion_->on_spurious();
  if (serial_less(wire_ms(now), segment.ts)) return ack.newly_acked > 0;  // of a size probe, or a lie
  if (ack.newly_acked > 0 || !echo_clock_.newest()) echo_clock_.observe(now, segment.ts);
  return ack.newly_acked > 0 || echo_clock_.advance(now, segment.ts);
}

void Kcp::handle_peer_window(const Segment& segment) {
  if (!peer_window_.handle(segment.una, segment.window) || segment.window == 0) return;
  probe_at_.reset();
  window_probe_due_ = false;
}

void Kcp::end_batch(TimePoint now) {
  receive_.end_batch();
  lost_.in_flight = send_.in_flight() * packet_size_;
  const std::uint32_t lost = detects_by_time_ ? send_.detect_lost_by_time(now, rtt_) : send_.detect_lost_by_packet_threshold();
  lost_.packets += lost;
  if (acked_.packets > 0 || lost > 0) end_acked_batch(now);
  follow_arrivals(now);
}

void Kcp::end_acked_batch(TimePoint now) {
  acked_.now = now;
  acked_.peer_window = peer_window() * packet_size_;
  acked_.in_flight = send_.in_flight_bytes();
  acked_.bytes = send_.rate().delivered() - acked_.delivered;
  acked_.delivered = send_.rate().delivered();
  acked_.rate = send_.rate().take_sample(rtt_.minimum().value_or(Duration(0)));
  const SendWindow::Counters& sent = send_.counters();
  const auto since = [&](std::uint64_t SendWindow::Counters::*counter) {
    return static_cast<std::uint32_t>(sent.*counter - counted_.*counter);
  };
  loss_.handle_unprotected(since(&SendWindow::Counters::unprotected_arrived), since(&SendWindow::Counters::unprotected_lost));
  loss_.handle_protected(since(&SendWindow::Counters::protected_arrived), since(&SendWindow::Counters::protected_lost));
  lost_.events = since(&SendWindow::Counters::loss_events);
  counted_ = sent;
  if (lost_.packets > 0) congestion_->on_lost(lost_);
  congestion_->on_acked(acked_);
  pacer_.set_rate(congestion_->pacing_rate());
  lost_ = {};
  acked_.packets = 0;
  acked_.rtt.reset();
}

// The receive window grows with what arrives in a round trip, so that the peer can send on while what was
// lost, and lost again, is repaired: kReceiveRoundTrips of them. The smallest round trip counts: one that
// contains a queue would make the queue longer.
void Kcp::follow_arrivals(TimePoint now) {
  if (receive_.window() >= max_receive_window_) return;
  const Duration round_trip =
      std::max<Duration>(rtt_.minimum().value_or(kAssumedRoundTrip), kMinMeasure);
  const Duration elapsed = now - arrivals_since_;
  if (elapsed < round_trip) return;
  const std::uint64_t wanted = static_cast<std::uint64_t>(arrivals_) * kReceiveRoundTrips *
                               static_cast<std::uint64_t>(round_trip.count()) /
                               static_cast<std::uint64_t>(elapsed.count());
  arrivals_ = 0;
  arrivals_since_ = now;
  if (wanted > receive_.window())
    receive_.set_window(static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, max_receive_window_)));
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

void Kcp::set_packet_size(std::size_t bytes) {
  if (bytes < packet_size_)
    oversize_ = Oversize{send_.end(), has_oversize() ? std::max(oversize_->packet_size, packet_size_) : packet_size_};
  packet_size_ = bytes;
  congestion_->on_mtu_changed(bytes);
  send_.set_segment_size(segment_size());
}

void Kcp::write_mtu_probe(std::uint32_t ts, std::size_t size, std::uint8_t* out) {
  PacketWriter writer(out, size);
  static constexpr std::array<std::uint8_t, kMaxDatagram> kPadding{};
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = ts;
  segment.sn = send_.una() - 1;
  segment.data = Bytes(kPadding).first(size - kProbeHeaders);
  writer.write(segment);
  writer.write(blank_segment(KcpCommand::kWindowProbe));
  counters_.out_segments += 2;
  mtu_probe_verifier_.begin(ts, peer_window());
}

bool Kcp::matches_challenge(Bytes packet, std::uint32_t ts) const {
  while (const std::optional<Segment> segment = take_segment(packet))
    if (segment->conv == conv_ && segment->command == KcpCommand::kAck && segment->ts == ts) return true;
  return false;
}

// Duplicates are acknowledged each time they arrive, by kcp-go too, with the time stamp of the copy that arrived. Where
// nothing was acknowledged yet, sn 0xffffffff is as good: it is behind what the peer expects.
std::size_t Kcp::write_echo_request(std::uint32_t ts, std::uint8_t* out) {
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = ts;
  segment.sn = send_.una() - 1;
  PacketWriter writer(out, kSegmentHeader);
  writer.write(segment);
  ++counters_.out_segments;
  return writer.size();
}

std::optional<ReceiveWindow::Piece> Kcp::read() {
  std::optional<ReceiveWindow::Piece> piece = receive_.read();
  if (piece) counters_.stream_bytes_in += piece->data.size();
  return piece;
}

// --- sending ---

void Kcp::commit(std::size_t bytes) {
  send_.commit(bytes);
  counters_.stream_bytes_out += bytes;
}

std::uint32_t Kcp::send_limit() const {
  return send_.una() + std::min({send_window_limit_, peer_window(), congestion_->send_limit(packet_size_)});
}

std::uint32_t Kcp::send_quota() const {
  return std::min({send_window_limit_, std::max(peer_window(), 1u), congestion_->send_limit(packet_size_)});
}

// Segments that may be queued and have not left: what the congestion window takes now, or what paced segments
// leave in kBacklogTime.
std::uint32_t Kcp::backlog_limit() const {
  if (pacer_.rate() > 0) {
    const auto paced =
        static_cast<std::uint64_t>(kBacklogTime.count()) * pacer_.rate() / 1000000 / packet_size_;
    return std::max(
        static_cast<std::uint32_t>(std::min<std::uint64_t>(paced, CongestionController::kAllSegments)),
        kMinBacklog);
  }
  const std::uint64_t window = congestion_->in_flight_limit();
  if (window == CongestionController::kUnlimited) return CongestionController::kAllSegments;
  if (window <= send_.in_flight_bytes()) return 0;
  return static_cast<std::uint32_t>((window - send_.in_flight_bytes()) / packet_size_ + 1);
}

std::size_t Kcp::send_room() const {
  const std::uint32_t quota = send_quota();
  const std::uint32_t backlog = send_.end() - send_.next();
  const std::uint32_t limit = backlog_limit();
  if (send_.size() >= quota || backlog >= limit) return 0;
  return std::min(quota - send_.size(), limit - backlog) * segment_size();
}

// The peer waits for the news that a window which was 0, or as good as 0, is open again.
bool Kcp::window_worth_advertising() const {
  return last_advertised_window_ <= receive_.window() / 8 && receive_.free() >= std::max(receive_.window() / 2, 1u);
}

void Kcp::handle_timeout(TimePoint now) {
  if (paced_until_ && *paced_until_ <= now) paced_until_.reset();  // write_data() sets it again when it has its turn
  if (detects_by_time_) {
    lost_.packets += send_.detect_lost_by_time(now, rtt_);
    probe_due_ |= send_.on_probe_timeout(now, rtt_);
  } else if (send_.detect_timed_out(now, rtt_) > 0) {
    congestion_->on_timeout();
  }
  if (probe_at_ && *probe_at_ <= now) {
    window_probe_due_ = true;
    probe_wait_ = std::min<Duration>(probe_wait_ + probe_wait_ / 2, kMaxProbe);
    probe_at_ = now + probe_wait_;
  }
}

Segment Kcp::blank_segment(KcpCommand command) const {
  Segment segment;
  segment.conv = conv_;
  segment.command = command;
  segment.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(receive_.free(), 65535));
  segment.una = receive_.next();
  return segment;
}

void Kcp::write_restart_challenge(TimePoint now, PacketWriter& writer) {
  if (!writer.fits(0) || !restart_.poll_challenge(now, rtt_.timeout())) return;
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = wire_ms(now);
  segment.sn = PeerRestartDetector::kChallengeSn;
  writer.write(segment);
  ++counters_.out_segments;
}

// The WASK follows with write_window_commands().
void Kcp::write_ping(TimePoint now, PacketWriter& writer) {
  if (!ping_due_ || !writer.fits(kSegmentHeader)) return;
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = wire_ms(now);
  segment.sn = send_.una() - 1;
  writer.write(segment);
  ++counters_.out_segments;
  ping_due_ = false;
  window_probe_due_ = true;
}

void Kcp::write_window_commands(TimePoint now, PacketWriter& writer) {
  if (window_probe_due_ && writer.fits(0)) {
    writer.write(blank_segment(KcpCommand::kWindowProbe));
    window_probe_due_ = false;
    ping_outstanding_ = true;
    mtu_probe_verifier_.handle_ping_sent(now);
    ++counters_.out_segments;
  }
  if ((window_update_due_ || (writer.size() == 0 && window_worth_advertising())) && writer.fits(0)) {
    writer.write(blank_segment(KcpCommand::kWindowUpdate));
    window_update_due_ = false;
    ++counters_.out_segments;
  }
}

// Nothing lost waits, and nothing queued that the windows would take: who is it that leaves the path idle?
void Kcp::note_idle_path(TimePoint now, std::uint32_t limit) {
  if (send_.has_lost() || (send_.next() != send_.end() && serial_less(send_.next(), limit))) return;
  const std::uint64_t in_flight = send_.in_flight_bytes();
  if (!pacer_.allows(now) || in_flight >= congestion_->in_flight_limit()) return;
  idle_capacity_.begin_idle(now);
  if (send_.size() < send_quota()) return send_.rate().handle_app_limited(in_flight);
  window_limited_until_ = send_.rate().delivered() + kWindowMemory * send_quota() * packet_size_;
}

std::uint32_t Kcp::idle_capacity_packets() const {
  if (congestion_->estimate().bandwidth == 0) return path_has_room() ? kMaxShards : 0;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(idle_capacity_.bytes() / packet_size_, kMaxShards));
}

bool Kcp::may_send_data(TimePoint now) {
  if (probe_due_) return true;  // what it finds lost makes room
  if (send_.in_flight_bytes() >= congestion_->in_flight_limit()) return false;
  if (pacer_.allows(now)) return true;
  if (send_.has_lost() || send_.end() != send_.next()) paced_until_ = pacer_.ready_at(now);
  return false;
}

std::optional<SendWindow::Transmission> Kcp::next_transmission(TimePoint now, std::uint32_t limit, std::size_t room) {
  if (!send_.has_lost())
    if (std::optional<SendWindow::Transmission> second = send_.poll_duplicate_retransmission(now, false, room)) return second;
  send_.set_duplicate_retransmissions(duplicate_retransmissions_worthwhile());
  if (std::optional<SendWindow::Transmission> copy = send_.poll_transmission(now, limit, room)) return copy;
  return send_.poll_duplicate_retransmission(now, true, room);
}

// Where the path has room, what is lost twice costs time, and what is sent twice costs nothing.
bool Kcp::duplicate_retransmissions_worthwhile() const {
  return detects_by_time_ && loss_.share() >= kDuplicateRetransmissionLoss && (path_has_room() || idle_capacity_packets() > 0);
}

void Kcp::write_transmission(TimePoint now, PacketWriter& writer, const SendWindow::Transmission& copy) {
  Segment segment = blank_segment(KcpCommand::kPush);
  segment.ts = wire_ms(now);
  segment.sn = copy.sn;
  segment.data = copy.data;
  writer.write(segment);
  ++counters_.out_segments;
}

void Kcp::write_data(TimePoint now, PacketWriter& writer) {
  paced_until_.reset();
  if (!may_send_data(now)) return;
  const std::uint32_t limit = send_limit();
  const std::size_t before = writer.size();
  std::uint64_t charged_bytes = 0;
  while (writer.fits(1)) {
    const std::optional<SendWindow::Transmission> copy = next_transmission(now, limit, writer.room());
    if (!copy) break;
    write_transmission(now, writer, *copy);
    charged_bytes += send_.charged_bytes(copy->data.size());
    if (copy->retransmission && !copy->repeat) ++counters_.retransmitted;
  }
  if (writer.size() == before) {
    note_idle_path(now, limit);
  } else {
    probe_due_ = false;
    idle_capacity_.end_idle(now, congestion_->estimate());
    pacer_.charge(now, charged_bytes);
    congestion_->on_sent({now, charged_bytes, send_.in_flight_bytes()});
  }
}

// How much a small segment that is repeated may have.
std::size_t Kcp::redundant_room() const {
  const bool thin =
      send_.in_flight() <= SendWindow::kThinSegments && !send_.has_lost() && send_.next() == send_.end();
  if (!detects_by_time_ || !thin || loss_.share() < kRedundantLoss || redundancy_credit_ <= kSegmentHeader) return 0;
  if (rtt_.minimum().value_or(Duration(0)) < kRedundantRoundTrip) return 0;
  return std::min(redundancy_credit_ - kSegmentHeader, segment_size() / 4);
}

// A lost keystroke then costs the gap to the next packet, not a retransmission time-out. Twice the bytes at
// most, those of acknowledgements included, and only where the path loses something and a retransmission takes its time.
void Kcp::write_redundant(TimePoint now, PacketWriter& writer, std::uint64_t before) {
  if (writer.size() == 0) return;
  redundancy_credit_ = std::min(redundancy_credit_ + writer.size() + kDatagramHeaders, packet_size_);
  const std::uint8_t times = loss_.share() < kTwoRedundantCopiesLoss ? 1 : 2;
  while (writer.fits(1)) {
    const std::size_t room = std::min(redundant_room(), writer.room());
    if (room == 0) return;
    const std::optional<SendWindow::Transmission> copy =
        send_.poll_redundant(now, times, *rtt_.smoothed() + kRedundantSlack, room, before);
    if (!copy) return;
    write_transmission(now, writer, *copy);
    redundancy_credit_ -= kSegmentHeader + copy->data.size();
  }
}

std::size_t Kcp::poll_packet(TimePoint now, std::uint8_t* out, std::size_t limit) {
  if (peer_window() == 0 && !probe_at_) {
    probe_wait_ = kFirstProbe;
    probe_at_ = now + probe_wait_;
  }
  PacketWriter writer(out, std::min(packet_size_, limit));
  counters_.out_segments += acks_.write(writer, blank_segment(KcpCommand::kAck));
  write_ping(now, writer);
  write_window_commands(now, writer);
  write_restart_challenge(now, writer);
  const std::uint64_t first_transmit_number = send_.next_transmit_number();
  write_data(now, writer);
  if (writer.size() == 0 && has_oversize()) {  // what is next may be too large
    writer = PacketWriter(out, std::min(oversize_->packet_size, limit));
    write_data(now, writer);
  }
  write_redundant(now, writer, first_transmit_number);
  if (writer.size() == 0) return 0;
  last_advertised_window_ = receive_.free();
  last_advertised_una_ = receive_.next();
  last_advertised_at_ = now;
  return writer.size();
}

std::optional<TimePoint> Kcp::next_timeout() const {
  return earliest(paced_until_, earliest(send_.next_timeout(rtt_), probe_at_));
}

void Kcp::update_settings(const KcpSettings& settings) {
  send_window_limit_ = std::max(settings.send_window, settings.max_send_window);
  max_receive_window_ = settings.max_receive_window;
  receive_.set_window(settings.receive_window);  // from where it follows the path again
  tuning_.nodelay = settings.tuning.nodelay;
  tuning_.interval = settings.tuning.interval;
  rtt_.update_settings(rto_floor(settings.tuning), settings.tuning.interval);
  send_.update_settings(settings.tuning.resend, settings.tuning.nodelay);
  congestion_->on_rate_limit_changed(settings.tuning.rate);
}

void Kcp::handle_new_path() {
  rtt_ = RttEstimator(rto_floor(tuning_), tuning_.interval);
  congestion_->on_path_changed();
  pacer_ = Pacer();
  loss_ = LossEstimator();
  idle_capacity_ = IdleCapacity();
  window_limited_until_ = 0;
}

void Kcp::trim() {
  send_.trim();
  receive_.trim();
  acks_.trim();
}

}  // namespace kcptun
