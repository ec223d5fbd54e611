#include "core/link/link.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/fec/fec_header.h"

namespace kcptun {
namespace {

// Unread bytes that streams may hold, in receive windows. One window fills the path; the second covers a
// consumption report that is late because the segment that carries it was lost.
constexpr std::uint64_t kBufferedWindows = 2;
// Shorter paths need no larger buffers, which would only be a queue.
constexpr Duration kBufferedRoundTrip = milliseconds(5);
// Bytes of control frames that are gathered before they go to KCP.
constexpr std::size_t kControlChunk = 16 * 1024;
// Segments of control frames that may wait for a full window.
constexpr std::uint32_t kControlBacklog = 16;

std::optional<AntiReplay> make_anti_replay(Role role, std::uint64_t session, const LinkContext& context,
                                           TimePoint now) {
  if (context.session_header == 0) return std::nullopt;
  return AntiReplay(role, session, now, context.wall);
}

std::unique_ptr<NoiseSession> make_noise(Role role, std::uint64_t session, const LinkContext& context,
                                         std::unique_ptr<NoiseSession> opened) {
  if (!context.credentials) return nullptr;
  KCPTUN_CHECK(context.secrets != nullptr && (role == Role::kClient || opened));
  return opened ? std::move(opened)
                : std::make_unique<NoiseSession>(*context.credentials, *context.secrets, session);
}

}  // namespace

Link::Link(Role role, SessionName id, LinkContext& context, TimePoint now,
           std::unique_ptr<NoiseSession> noise)
    : role_(role),
      context_(context),
      anti_replay_(make_anti_replay(role, id.session, context, now)),
      noise_(make_noise(role, id.session, context, std::move(noise))),
      packet_size_(kcp_packet_size(context)),
      kcp_(id.conv, context.settings.kcp, packet_size_ - (noise_ ? noise_->handshake_part() : 0),
           context.segments),
      smux_(role, context.settings.smux, now, role == Role::kClient ? static_cast<std::uint16_t>(id.conv) : 0,
            context.memory),
      codec_(context, kcp_, smux_),
      decoder_({context, kcp_, anti_replay_ ? &*anti_replay_ : nullptr, noise_.get()}),
      path_validator_(kcp_, context.overhead()),
      mtu_prober_(kcp_, context.settings.kcp, context.overhead()),
      kcp_source_(kcp_, mtu_prober_),
      sender_({context, kcp_, path_validator_.validation(), anti_replay_ ? &*anti_replay_ : nullptr,
               noise_.get()},
              now),
      accepts_datagrams_((context.settings.smux.capabilities & kDatagramPackets) != 0),
      liveness_(now),
      shortened_(noise_ != nullptr) {}

Link::~Link() = default;

// --- receiving ---

struct Link::ArrivalCounters {
  std::uint64_t segments = 0;
  std::uint64_t fresh_segments = 0;
  std::uint64_t stream_bytes = 0;
  std::uint64_t datagram_packets = 0;
  bool fresh_since(const ArrivalCounters& before) const {
    return fresh_segments != before.fresh_segments || datagram_packets != before.datagram_packets;
  }
};

Link::ArrivalCounters Link::count_arrivals() const {
  return {kcp_.counters().in_segments, kcp_.fresh_segments(), kcp_.counters().stream_bytes_in,
          fresh_datagram_packets()};
}

void Link::handle_fresh(TimePoint now, const Fresh& fresh) {
  if (anti_replay_ && fresh.bodies.empty()) return;
  note_handshake();
  const ArrivalCounters before = count_arrivals();
  decoder_.handle_packets(now, fresh.bodies);
  handle_datagram_packets(now);
  // Any fresh segment counts, because one lost segment holds back the bytes behind it for long. Others do
  // not, or a recording would keep a dead peer alive.
  if (count_arrivals().fresh_since(before)) smux_.handle_peer_activity(now);
  path_validator_.handle_echo();
  read_stream(now);  // first, so that what is read now is never copied
  decoder_.end_batch();
  kcp_.end_batch(now);
  note_peer_window(now);
  fit_stream_buffers();
  note_arrivals(now, before);
}

// From here on, packets leave without a handshake part.
void Link::note_handshake() {
  if (!shortened_ || !noise_->established()) return;
  shortened_ = false;
  kcp_.set_packet_size(packet_size_);
}

void Link::note_peer_window(TimePoint now) {
  if (kcp_.peer_window() > 0) {
    peer_full_since_.reset();
  } else if (!peer_full_since_) {
    peer_full_since_ = now;
  }
}

void Link::fit_stream_buffers() {
  if (smux_.buffers_follow_window() && kcp_.rtt().minimum().value_or(Duration(0)) >= kBufferedRoundTrip)
    smux_.fit_buffers(kBufferedWindows * kcp_.receive_window().window() * kcp_.segment_size());
}

void Link::note_arrivals(TimePoint now, const ArrivalCounters& before) {
  const ArrivalCounters after = count_arrivals();
  if (role_ == Role::kClient && after.fresh_since(before)) {
    liveness_.handle_arrival(now);
    liveness_.handle_state(now, kcp_.awaits_peer());
    idle_probe_at_.reset();
    const bool data =
        after.stream_bytes != before.stream_bytes || after.datagram_packets != before.datagram_packets;
    if (data && smux_.streams() > 0) idle_probe_at_ = now + kIdleProbeAfter;
  }
  if (after.segments != before.segments) mtu_prober_.handle_arrival(now);
}

void Link::read_stream(TimePoint now) {
  while (can_read()) {
    std::optional<ReceiveWindow::Piece> piece = kcp_.read();
    if (!piece) return;
    codec_.feed(std::move(*piece));
    for (MutableBytes bytes = codec_.poll_bytes(); !bytes.empty(); bytes = codec_.poll_bytes())
      smux_.handle_bytes(now, bytes);
  }
}

std::optional<StreamEvent> Link::poll_event(TimePoint now) {
  for (;;) {
    if (std::optional<StreamEvent> event = smux_.poll_event()) {
      codec_.decrypt(*event);
      return event;
    }
    if (kcp_.readable() && !smux_.can_receive()) smux_.handle_blocked_input(now);
    if (!event_ready()) return std::nullopt;
    read_stream(now);
  }
}

void Link::release_views() {
  codec_.release_views();
  decoder_.release_views();
}

std::string_view Link::protocol_error() const {
  if (!codec_.error().empty()) return codec_.error();
  if (!mtu_prober_.error().empty()) return mtu_prober_.error();
  return smux_.error();
}

std::string_view Link::closed_reason() const {
  if (const std::string_view error = protocol_error(); !error.empty()) return error;
  if (peer_restarted()) return "the peer has restarted";
  return smux_.dead() ? "nothing arrived from the peer for too long" : std::string_view{};
}

bool Link::matches_challenge(Bytes body, std::uint32_t token) const {
  return kcp_.matches_challenge(kcp_packet_in(body), token);
}

bool Link::suspected_dead(TimePoint now) const {
  return liveness_.suspected_dead(now, kcp_.rtt().smoothed().value_or(Duration(0)));
}

// --- sending ---

bool Link::writable() const {
  const std::uint32_t limit = std::min(kcp_.send_quota(), kcp_.backlog_limit());
  return kcp_.send_room() >= kcp_.segment_size() * std::clamp(limit / 2, 1u, 4u);
}

std::span<const MutableBytes> Link::prepare_write(std::uint32_t sid, std::size_t limit) {
  flush_control();  // a stream's SYN goes before its data
  write_position_ = kcp_.send_window().next_byte_sn();
  prepared_ = writable() ? std::min({limit, smux_.stream_room(sid), kcp_.send_room()}) : 0;
  return codec_.prepare(prepared_);
}

void Link::commit_write(std::uint32_t sid, std::size_t bytes) {
  KCPTUN_CHECK(bytes <= prepared_);
  prepared_ = 0;
  codec_.commit(sid, bytes);
  if (bytes > 0) smux_.record_sent(sid, bytes);
}

void Link::flush_control() {
  while (smux_.has_control()) {
    const SendWindow& window = kcp_.send_window();
    if (kcp_.send_room() == 0 && window.end() - window.next() >= kControlBacklog) return;
    context_.frames.clear();
    smux_.poll_control(context_.frames, kControlChunk);
    codec_.append_frames(context_.frames);
  }
}

void Link::ping_if_unanswered(TimePoint now) {
  const SendWindow& window = kcp_.send_window();
  if (!liveness_.poll_ping(now, window.end() != window.next())) return;
  kcp_.ping();
  noise_probe_due_ = noise_ && noise_->established() && liveness_.unanswered_since();
}

// A server that has restarted cannot open the session's packets. It answers this one
// (docs/develop/protocol.md section 15, "A server that has forgotten the session").
void Link::send_noise_probe(TimePoint now, TransmitBatch& batch) {
  if (batch.room() == 0) return;
  noise_probe_due_ = false;
  noise_->begin_probe();
  Segment segment;
  segment.conv = kcp_.conv();
  segment.command = KcpCommand::kWindowProbe;
  segment.ts = wire_ms(now);
  write_segment_header(sender_.next_body(batch), segment, 0);
  sender_.append(now, batch, kSegmentHeader);
}

bool Link::poll_transmit(TimePoint now, const Path& path, TransmitBatch& batch) {
  const std::size_t first = batch.size();
  if (kcp_.has_acks()) smux_.piggyback_keepalive(now);
  smux_.handle_acknowledged(now, kcp_.send_window().una());  // again: an end may have begun to linger since
  flush_control();
  if (role_ == Role::kClient) ping_if_unanswered(now);
  kcp_.set_streams(smux_.streams());
  batch.begin_run(path);
  if (!path_validated()) sender_.send(now, path_validator_, batch);
  const bool full = transmit_datagrams(now, batch);
  const bool more = sender_.send(now, kcp_source_, batch) || full || transmit_datagrams(now, batch);
  sender_.end_batch();
  if (role_ == Role::kClient) liveness_.handle_state(now, kcp_.awaits_peer());
  if (path_mtu() && path_validated() && !shortened_ && batch.room() >= MtuProber::kMaxPackets)
    sender_.send(now, mtu_prober_, batch);
  if (noise_probe_due_) send_noise_probe(now, batch);
  if (noise_) noise_->seal(now, batch.packets().subspan(first));
  return more;
}

// Without an FEC header: every receiver accepts such packets too, and no group is disturbed.
void Link::append_challenge(TimePoint now, const Path& path, std::uint32_t token, TransmitBatch& batch) {
  batch.begin_run(path);
  sender_.append(now, batch, kcp_.write_echo_request(token, sender_.next_body(batch)));
  if (noise_) noise_->seal(now, batch.packets().last(1));
}

void Link::handle_new_address(TimePoint now) {
  kcp_.handle_new_path();
  smux_.send_keepalive(now);
  kcp_.ping();
}

void Link::update_settings(const LinkSettings& settings, TimePoint now) {
  kcp_.update_settings(settings.kcp);
  sender_.set_rate_limit(settings.rate_limit, now);
}

void Link::share_rate(std::shared_ptr<SharedRate> rate) { sender_.share_rate(std::move(rate)); }

// --- time ---

void Link::handle_timeout(TimePoint now) {
  if (noise_) noise_->handle_timeout(now);
  kcp_.handle_timeout(now);
  handle_datagram_timeout(now);
  if (idle_probe_at_ && *idle_probe_at_ <= now) {
    idle_probe_at_.reset();
    if (smux_.streams() > 0 && !kcp_.awaits_peer()) smux_.send_keepalive(now);
  }
  if (const auto due = smux_.next_sweep(); due && *due <= now) smux_.sweep(now);
  if (const auto due = smux_.next_timeout(); due && *due <= now) {
    smux_.handle_timeout(now, !smux_.can_receive());
    kcp_.trim();
    smux_.trim();
    if (noise_) noise_->trim();
    if (datagrams_) datagrams_->outgoing.trim();
  }
}

std::optional<TimePoint> Link::next_timeout() const {
  const std::optional<TimePoint> probes =
      earliest(path_validator_.next_timeout(), shortened_ ? std::nullopt : mtu_prober_.next_timeout());
  const std::optional<TimePoint> data = earliest(sender_.next_timeout(), kcp_source_.next_timeout());
  const std::optional<TimePoint> streams = earliest(smux_.next_timeout(), smux_.next_sweep());
  const std::optional<TimePoint> peer = earliest(liveness_.next_timeout(), idle_probe_at_);
  const std::optional<TimePoint> keys = noise_ ? noise_->next_timeout() : std::nullopt;
  return earliest(earliest(earliest(probes, data), earliest(next_datagram_timeout(), keys)),
                  earliest(streams, peer));
}

}  // namespace kcptun
