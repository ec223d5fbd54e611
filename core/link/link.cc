#include "core/link/link.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/link/piece_cursor.h"

namespace kcptun {
namespace {

constexpr std::size_t kMinBody = 12;        // docs/develop/protocol.md section 2: shorter ones are dropped
// Receive windows' worth that streams may have waiting: what was consumed is told in the other direction's stream, and
// late when that loses something.
constexpr std::uint64_t kBufferedWindows = 2;
constexpr Duration kBufferedRoundTrip = milliseconds(5);  // a shorter path needs no more; it would only be a queue
// Control frames gathered before they go to KCP.
constexpr std::size_t kControlChunk = 16 * 1024;
// Segments of control frames that may wait for a full window.
constexpr std::uint32_t kControlBacklog = 16;
// A peer that sent data for open streams and then says nothing for so long is sent a keepalive, once: who only receives
// would else learn late that its peer has restarted, or that its own address has changed on the way.
constexpr Duration kIdleProbeAfter = seconds(1);

// Of a KCP packet to an address that has not answered: two acknowledgements, without which none is worth a packet.
constexpr std::size_t kMinAllowance = 2 * kSegmentHeader;

// How long a segment that was cut for a larger path may take to get through in fragments, of a peer that is heard.
constexpr Duration kOversizePatience = seconds(15);

}  // namespace

LinkContext::LinkContext(const LinkSettings& link_settings) : settings(link_settings) {}

void LinkContext::set_overhead(const Suite& suite) {
  crypto_header = suite.header_size();
  crypto_trailer = suite.trailer_size();
  session_header = suite.session_header_size();
}

void LinkContext::trim() {
  inflated.reset();
  segments.trim();
  blocks.trim();
}

std::size_t kcp_packet_size(const LinkContext& context) {
  const KcpSettings& kcp = context.settings.kcp;
  const std::size_t mtu = std::min<std::size_t>(kcp.find_mtu ? PathMtu::kFloor : kcp.mtu, kMaxDatagram);
  const std::size_t overhead =
      context.crypto_header + context.crypto_trailer + (context.settings.fec.enabled() ? kFecHeader : 0);
  KCPTUN_CHECK(mtu > overhead + kSegmentHeader);
  return mtu - overhead;
}

Link::Link(Role role, SessionName id, LinkContext& context, TimePoint now)
    : context_(context),
      role_(role),
      frame_size_(context.settings.smux.frame_size),
      sends_fec_(context.settings.fec.enabled()),
      kcp_(id.conv, context.settings.kcp, kcp_packet_size(context), context.segments),
      smux_(role, context.settings.smux, now, role == Role::kClient ? static_cast<std::uint16_t>(id.conv) : 0,
            context.memory),
      decoder_(context.settings.fec, context.codes),
      parity_policy_(context.settings.fec),
      silence_(now) {
  if (context.session_header > 0) guard_.emplace(role, id.session, now, context.wall);
  if (sends_fec_) {
    code_ = context.codes.use(context.settings.fec);
    encoder_.emplace(*code_);
  }
  if (context.settings.kcp.find_mtu) path_mtu_.emplace();
  if (context.settings.rate_limit > 0) limiter_.emplace(context.settings.rate_limit, now);
  if (context.settings.compress) {
    framer_.emplace();
    deframer_.emplace();
  }
}

Link::~Link() = default;

// --- receiving ---

// The session's first look at opened packets: the bodies of those that it takes.
std::span<const Packet> Link::fresh_packets(std::span<const Packet> packets) {
  context_.fresh.clear();
  for (const Packet& packet : packets)
    if (const MutableBytes body = guard_->take(packet.bytes()); !body.empty())
      context_.fresh.push_back({body.data(), static_cast<std::uint32_t>(body.size())});
  return context_.fresh;
}

void Link::handle_packets(TimePoint now, std::span<const Packet> packets) {
  if (guard_) packets = fresh_packets(packets);
  if (guard_ && packets.empty()) return;
  const std::uint64_t segments = kcp_.counters().in_segments;
  const std::uint64_t fresh = kcp_.fresh_segments();
  const std::uint64_t stream_bytes = kcp_.counters().stream_bytes_in;
  packets_received_ += packets.size();
  for (const Packet& packet : packets)
    if (packet.size >= kMinBody) handle_packet(now, packet.bytes());
  // Where one lost segment holds back all that came behind it, no byte reaches smux for long: the peer lives still.
  // What may be old is no sign of life, or a recording of a dead peer would do.
  const bool heard = kcp_.fresh_segments() != fresh;
  if (heard) smux_.handle_peer_activity(now);
  if (const auto echo = kcp_.newest_echo(); echo && path_validation_.is_answer(*echo)) handle_path_validated();
  pump_input(now);  // first, so that what is read now is never copied
  decoder_.end_batch();
  kcp_.end_batch(now);
  if (kcp_.peer_window() > 0) {
    peer_full_since_.reset();
  } else if (!peer_full_since_) {
    peer_full_since_ = now;
  }
  if (smux_.buffers_follow_window() && kcp_.rtt().minimum().value_or(Duration(0)) >= kBufferedRoundTrip)
    smux_.fit_buffers(kBufferedWindows * kcp_.receive_window().window() * kcp_.segment_size());
  if (heard && role_ == Role::kClient) handle_arrival(now, stream_bytes);
  if (path_mtu_ && kcp_.counters().in_segments != segments) handle_mtu_answers(now);
}

void Link::handle_arrival(TimePoint now, std::uint64_t stream_bytes_before) {
  silence_.handle_arrival(now);
  silence_.handle_state(now, kcp_.awaits_peer());
  idle_probe_at_.reset();
  if (kcp_.counters().stream_bytes_in != stream_bytes_before && smux_.streams() > 0) idle_probe_at_ = now + kIdleProbeAfter;
}

void Link::handle_packet(TimePoint now, MutableBytes body) {
  switch (fec_type(body)) {
    case FecType::kData:
      return handle_fec_data(now, body);
    case FecType::kParity:
      decoder_.handle(body);
      return handle_recovered(now);
    case FecType::kOutOfBand:
      ++out_of_band_;  // kcptun never sends it
      return;
    case FecType::kNone:
      return kcp_.handle_packet(now, body, Kcp::Origin::kArrived);
  }
}

void Link::handle_fec_data(TimePoint now, MutableBytes body) {
  const Bytes packet = kcp_packet_in(body);
  if (!packet.data()) return;
  kcp_.handle_packet(now, packet, Kcp::Origin::kArrived);
  decoder_.handle(body);
  handle_recovered(now);
}

void Link::handle_recovered(TimePoint now) {
  for (const Bytes packet : decoder_.recovered()) {
    // The decoder reuses its memory sooner than KCP, or the owner of an event, is done with the view.
    const PoolBuffer& kept = held_.emplace_back(context_.segments);
    std::memcpy(kept.data(), packet.data(), packet.size());
    kcp_.handle_packet(now, {kept.data(), packet.size()}, Kcp::Origin::kRecovered);
  }
}

void Link::pump_input(TimePoint now) {
  while (smux_.can_receive() && closed_reason().empty()) {
    std::optional<ReceiveWindow::Piece> piece = kcp_.read();
    if (!piece) return;
    if (piece->buffer) held_.push_back(std::move(piece->buffer));
    first_.observe(piece->data);
    if (deframer_) {
      inflate(now, piece->data);
    } else {
      smux_.handle_bytes(now, piece->data);
    }
  }
}

void Link::inflate(TimePoint now, MutableBytes piece) {
  Bytes input = piece;
  for (;;) {
    if (!context_.inflated) context_.inflated = PoolBuffer(context_.blocks);
    const SnappyDeframer::Step step = deframer_->feed(input, {context_.inflated.data(), kSnappyBlock});
    if (step.status == SnappyDeframer::Status::kMore) return;
    if (step.status == SnappyDeframer::Status::kFailed) {
      error_ = "the peer's stream is not snappy, or damaged";
      return;
    }
    first_inflated_.observe(step.block);
    smux_.handle_bytes(now, keep_block(step.block, piece));
  }
}

// Makes a block live as long as the events that will point into it. Large ones stay where they were decompressed;
// small ones are packed, so that many of them don't hold 64 KiB each.
MutableBytes Link::keep_block(Bytes block, MutableBytes piece) {
  constexpr std::size_t kLarge = kSnappyBlock / 4;
  auto* const data = const_cast<std::uint8_t*>(block.data());
  if (block.data() >= piece.data() && block.data() < piece.data() + piece.size()) return {data, block.size()};
  if (block.data() == context_.inflated.data() && block.size() >= kLarge) {
    held_.push_back(std::move(context_.inflated));
    return {data, block.size()};
  }
  if (packed_.size() < block.size()) {
    held_.emplace_back(context_.blocks);
    packed_ = {held_.back().data(), kSnappyBlock};
  }
  const MutableBytes kept = packed_.first(block.size());
  packed_ = packed_.subspan(block.size());
  std::memcpy(kept.data(), block.data(), block.size());
  return kept;
}

std::optional<StreamEvent> Link::poll_event(TimePoint now) {
  for (;;) {
    if (std::optional<StreamEvent> event = smux_.poll_event()) {
      if (context_.qpp && event->type == StreamEvent::Type::kData)
        qpp_pair(event->sid).receiving.decrypt(event->data);
      return event;
    }
    if (kcp_.readable() && !smux_.can_receive()) smux_.handle_refusal(now);
    if (!kcp_.readable() || !smux_.can_receive() || !closed_reason().empty()) return std::nullopt;
    pump_input(now);
  }
}

void Link::release_views() {
  held_.clear();
  packed_ = {};
}

std::string_view Link::closed_reason() const {
  if (!error_.empty()) return error_;
  if (!smux_.error().empty()) return smux_.error();
  if (kcp_.peer_restarted()) return "the peer has restarted";
  return smux_.dead() ? "nothing arrived from the peer for too long" : std::string_view{};
}

// --- sending ---

bool Link::writable() const {
  return kcp_.send_room() >= kcp_.segment_size() * std::clamp(kcp_.send_quota() / 2, 1u, 4u);
}

std::span<const MutableBytes> Link::prepare_write(std::uint32_t sid, std::size_t limit) {
  flush_control();  // a stream's SYN goes before its data
  pieces_.clear();
  payload_.clear();
  write_position_ = kcp_.send_window().next_byte_sn();
  prepared_ = writable() ? std::min({limit, smux_.stream_room(sid), kcp_.send_room()}) : 0;
  if (prepared_ == 0) return {};

  const std::size_t frames = (prepared_ + frame_size_ - 1) / frame_size_;
  const std::size_t total = prepared_ + frames * kFrameHeader;
  if (framer_) {
    if (context_.frames.size() < total) context_.frames.resize(total);
    pieces_.push_back({context_.frames.data(), total});
  } else {
    kcp_.prepare(total, pieces_);
  }
  PieceCursor cursor(pieces_);
  for (std::size_t left = prepared_; left > 0;) {
    const std::size_t length = std::min(left, frame_size_);
    cursor.skip(kFrameHeader);
    cursor.advance(length, [this](MutableBytes stretch) { payload_.push_back(stretch); });
    left -= length;
  }
  return payload_;
}

void Link::commit_write(std::uint32_t sid, std::size_t bytes) {
  KCPTUN_CHECK(bytes <= prepared_);
  prepared_ = 0;
  if (bytes == 0) {
    if (!framer_) kcp_.commit(0);
    return;
  }
  if (context_.qpp) {
    QppStream& stream = qpp_pair(sid).sending;
    PieceCursor(payload_).advance(bytes, [&stream](MutableBytes stretch) { stream.encrypt(stretch); });
  }
  std::size_t total = bytes;
  PieceCursor cursor(pieces_);
  for (std::size_t left = bytes; left > 0;) {
    const std::size_t length = std::min(left, frame_size_);
    std::array<std::uint8_t, kFrameHeader> header;
    write_frame_header(header.data(), {smux_.version(), static_cast<std::uint8_t>(SmuxCommand::kPush),
                                       static_cast<std::uint16_t>(length), sid});
    cursor.write(header);
    cursor.skip(length);
    total += kFrameHeader;
    left -= length;
  }
  smux_.record_sent(sid, bytes);
  if (framer_) {
    append_frames({context_.frames.data(), total});
  } else {
    kcp_.commit(total);
  }
}

void Link::append_stream(Bytes bytes) {
  std::vector<MutableBytes>& pieces = pieces_;
  pieces.clear();
  kcp_.prepare(bytes.size(), pieces);
  PieceCursor(pieces).write(bytes);
  kcp_.commit(bytes.size());
}

// Frames enter the stream as they are, or compressed.
void Link::append_frames(Bytes bytes) {
  if (!framer_) return append_stream(bytes);
  context_.compressed.resize(kSnappyMaxEncoded);
  while (!bytes.empty()) {
    const std::size_t size = framer_->encode(bytes, context_.compressed);
    append_stream(Bytes(context_.compressed).first(size));
  }
}

void Link::flush_control() {
  while (smux_.has_control()) {
    const SendWindow& window = kcp_.send_window();
    if (kcp_.send_room() == 0 && window.end() - window.next() >= kControlBacklog) return;
    context_.frames.clear();
    smux_.poll_control(context_.frames, kControlChunk);
    append_frames(context_.frames);
  }
}

void Link::ping_if_unanswered(TimePoint now) {
  const SendWindow& window = kcp_.send_window();
  if (silence_.poll_ping(now, window.end() != window.next())) kcp_.ping();
}

// --- the path's MTU ---

std::size_t Link::packet_overhead() const {
  return context_.crypto_header + context_.crypto_trailer + (sends_fec_ ? kFecHeader : 0);
}

void Link::handle_mtu_answers(TimePoint now) {
  path_mtu_->handle_arrival(now);
  watch_oversize(now);
  if (!kcp_.take_probe_answer()) return;
  path_mtu_->handle_answer(now);
  fit_to_path();
}

void Link::fit_to_path() {
  const std::size_t size = path_mtu_->size() - packet_overhead();
  if (size != kcp_.segment_size() + kSegmentHeader) kcp_.set_packet_size(size);
}

// Called when the peer is heard, as silence says nothing about sizes.
void Link::watch_oversize(TimePoint now) {
  const std::uint32_t una = kcp_.send_window().una();
  const bool was_silent = now - std::exchange(heard_at_, now) > kOversizePatience / 2;
  if (!kcp_.has_oversize() || was_silent || una != oversize_una_) {
    oversize_una_ = una;
    oversize_since_ = now;
  } else if (now - oversize_since_ >= kOversizePatience) {
    error_ = "the path carries packets of the size of before neither whole nor in fragments";
  }
}

// A probe has no FEC header, as nothing in it is worth protecting.
void Link::probe_path_mtu(TimePoint now, const Path& path, TransmitBatch& batch) {
  if (kcp_.counters().in_segments == 0 || batch.room() < 2) return;
  const Duration round_trip = kcp_.rtt().smoothed().value_or(kcp_.rtt().timeout());
  const std::optional<std::uint32_t> size = path_mtu_->poll_probe(now, round_trip + kcp_.rtt().timeout());
  fit_to_path();  // one that got no answer may have been the last
  if (!size) return;
  batch.begin_run(path, TransmitBatch::Fragments::kWhole);
  const std::size_t crypto = context_.crypto_header + context_.crypto_trailer;
  // Apart from all time stamps of these days, and from those of other sizes.
  const std::uint32_t ts = wire_ms(now) + 0x60000000 + *size;
  kcp_.write_mtu_probe(ts, *size - crypto, batch.next_slot() + context_.crypto_header);
  push(now, batch, *size - crypto);
  if (!path_mtu_->last_of_its_size()) return;
  batch.begin_run(path);
  push(now, batch, kcp_.write_echo_request(ts + 0x10000000, batch.next_slot() + context_.crypto_header));
}

bool Link::suspected_dead(TimePoint now) const {
  return silence_.suspected_dead(now, kcp_.rtt().smoothed().value_or(Duration(0)));
}

bool Link::poll_transmit(TimePoint now, const Path& path, TransmitBatch& batch) {
  if (kcp_.has_acks()) smux_.piggyback_keepalive(now);
  smux_.handle_acknowledged(now, kcp_.send_window().una());  // here: it may all have been before the end was to leave
  flush_control();
  if (role_ == Role::kClient) ping_if_unanswered(now);
  batch.begin_run(path);
  validate_path(now, batch);
  const std::size_t fec_header = sends_fec_ ? kFecHeader : 0;
  bool more = false;
  for (;;) {
    if (batch.room() == 0) {
      more = true;
      break;
    }
    if (!may_send(now)) break;
    if (sends_fec_ && encoder_->begins_group()) plan_group();
    std::uint8_t* body = batch.next_slot() + context_.crypto_header;
    const std::size_t size = kcp_.poll_packet(now, body + fec_header, path_validation_.allowance() - packet_overhead());
    if (size == 0) break;
    push(now, batch, fec_header + size);
    if (path_mtu_ && size >= PathMtu::kFloor - packet_overhead()) path_mtu_->handle_large_packet(now);
    if (sends_fec_ && encoder_->begins_group()) kcp_.charge_parity(encoder_->planned_parity());
    if (sends_fec_ && encoder_->add(now, {body, fec_header + size})) append_parity(now, batch);
  }
  if (sends_fec_) encoder_->end_batch();
  if (role_ == Role::kClient) silence_.handle_state(now, kcp_.awaits_peer());
  if (path_mtu_ && path_validated()) probe_path_mtu(now, path, batch);
  return more;
}

bool Link::is_fresh(Bytes body) const { return kcp_.is_fresh(kcp_packet_in(body)); }

bool Link::matches_challenge(Bytes body, std::uint32_t token) const { return kcp_.matches_challenge(kcp_packet_in(body), token); }

// Without an FEC header: every receiver takes such packets too, and no group is disturbed.
void Link::append_challenge(TimePoint now, const Path& path, std::uint32_t token, TransmitBatch& batch) {
  batch.begin_run(path);
  push(now, batch, kcp_.write_echo_request(token, batch.next_slot() + context_.crypto_header));
}

std::size_t Link::echo_request_size() const {
  return context_.crypto_header + kSegmentHeader + context_.crypto_trailer;
}

void Link::validate_path(TimePoint now, TransmitBatch& batch) {
  if (batch.room() == 0 || !path_validation_.poll_ping(now, kcp_.rtt().timeout(), echo_request_size())) return;
  push(now, batch, kcp_.write_echo_request(wire_ms(now), batch.next_slot() + context_.crypto_header));
}

void Link::handle_peer_moved(TimePoint now, PathChange change) {
  path_change_ = change;
  path_validation_.begin(now);
}

void Link::handle_path_validated() {
  path_validation_.end();
  if (std::exchange(path_change_, PathChange::kPort) == PathChange::kAddress) kcp_.handle_new_path();
}

void Link::handle_new_address(TimePoint now) {
  kcp_.handle_new_path();
  smux_.send_keepalive(now);
  kcp_.ping();
}

void Link::push(TimePoint now, TransmitBatch& batch, std::size_t body_size) {
  const Packet& packet = batch.push(context_.crypto_header + body_size + context_.crypto_trailer);
  if (guard_) guard_->stamp(now, packet.data + context_.crypto_header - kSessionHeader);
  charge(packet.size);
}

// Made anew on each poll until the group's first packet leaves, which is when its parity is paid for. The settings may have
// been read again since; a session keeps its shards.
void Link::plan_group() {
  const FecSettings& fec = parity_policy_.settings();
  const std::uint32_t group = encoder_->next_seqid() / (fec.data_shards + fec.parity_shards);
  encoder_->plan_parity(context_.settings.adaptive_parity
                            ? parity_policy_.next_group(
                                  {group, kcp_.loss(), kcp_.idle_capacity_packets(), kcp_.send_window().in_flight()})
                            : fec.parity_shards);
  kcp_.set_group(fec.data_shards, encoder_->planned_parity());
}

void Link::append_parity(TimePoint now, TransmitBatch& batch) {
  const std::size_t count = encoder_->parity_skipped() || !path_validated() ? 0 : encoder_->planned_parity();
  const std::size_t size = encoder_->parity_size();
  std::array<std::uint8_t*, kMaxShards> outs;
  std::uint8_t* const first = batch.next_slot() + context_.crypto_header;
  for (std::size_t i = 0; i < count; ++i) outs[i] = first + i * kPacketStride;
  const std::size_t written = encoder_->finish_group({outs.data(), count});
  for (std::size_t i = 0; i < written; ++i) push(now, batch, size);
  parity_sent_ += written;
}

void Link::update_settings(const LinkSettings& settings, TimePoint now) {
  kcp_.update_settings(settings.kcp);
  limiter_.reset();
  if (settings.rate_limit > 0) limiter_.emplace(settings.rate_limit, now);
}

bool Link::may_send(TimePoint now) {
  held_until_.reset();
  if (path_validation_.allowance() < packet_overhead() + kMinAllowance) return false;
  if (!limiter_ || limiter_->allows(now)) return true;
  held_until_ = limiter_->ready_at();
  return false;
}

void Link::charge(std::size_t bytes) {
  ++packets_sent_;
  path_validation_.charge(bytes);
  if (limiter_) limiter_->charge(bytes);
}

// --- time and housekeeping ---

void Link::handle_timeout(TimePoint now) {
  kcp_.handle_timeout(now);
  if (idle_probe_at_ && *idle_probe_at_ <= now) {
    idle_probe_at_.reset();
    if (smux_.streams() > 0 && !kcp_.awaits_peer()) smux_.send_keepalive(now);
  }
  if (const auto due = smux_.next_sweep(); due && *due <= now) smux_.sweep(now);
  if (const auto due = smux_.next_timeout(); due && *due <= now) {
    smux_.handle_timeout(now, !smux_.can_receive());
    kcp_.trim();
    smux_.trim();
  }
}

std::optional<TimePoint> Link::next_timeout() const {
  const std::optional<TimePoint> sending = earliest(held_until_, earliest(kcp_.next_timeout(), smux_.next_timeout()));
  const std::optional<TimePoint> probing =
      path_mtu_ && kcp_.counters().in_segments > 0 ? path_mtu_->next_timeout() : std::nullopt;
  const std::optional<TimePoint> validating = path_validation_.next_timeout(echo_request_size());
  const std::optional<TimePoint> watching = earliest(silence_.next_timeout(), smux_.next_sweep());
  return earliest(earliest(sending, earliest(probing, validating)), earliest(watching, idle_probe_at_));
}

// Streams come and go; the pairs of those that are gone are swept when they outnumber the others.
Link::QppPair& Link::qpp_pair(std::uint32_t sid) {
  if (qpp_.size() > 2 * smux_.streams() + 16)
    std::erase_if(qpp_, [this](const auto& entry) { return !smux_.has_stream(entry.first); });
  const auto it = qpp_.find(sid);
  if (it != qpp_.end()) return it->second;
  return qpp_.emplace(sid, QppPair{QppStream(*context_.qpp), QppStream(*context_.qpp)}).first->second;
}

}  // namespace kcptun
