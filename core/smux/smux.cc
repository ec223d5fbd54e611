#include "core/smux/smux.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/serial.h"

namespace kcptun {
namespace {
// Keepalives are due at multiples of this, so that one wake-up serves many sessions. Sessions are spread over
// the grid, because thousands at once would overflow socket buffers.
constexpr Duration kKeepaliveGrid = milliseconds(200);
// A window update is sent each time this fraction (1/8) of the window was consumed. Go peers use 1/2. A
// sender can keep little more in flight than the window minus that fraction.
constexpr std::uint32_t kUpdatesPerWindow = 8;
}  // namespace

Smux::Smux(Role role, const SmuxSettings& settings, TimePoint now, std::uint16_t spread, MemoryQuota* memory)
    : role_(role),
      settings_(settings),
      budget_(settings.receive_buffer, settings.version == 1, memory),
      stream_buffer_(settings.stream_buffer),
      next_sid_(role == Role::kClient ? 3 : 2),
      last_arrival_(now),
      next_nop_(now + settings.keepalive - settings.keepalive / 2 * spread / 65536) {
  KCPTUN_CHECK(settings.version == 1 || settings.version == 2);
}

// --- stream table ---

const Smux::Stream* Smux::find(std::uint32_t sid) const {
  if (cached_ && cached_sid_ == sid) return cached_;
  const auto it = streams_.find(sid);
  if (it == streams_.end()) return nullptr;
  cached_sid_ = sid;
  cached_ = const_cast<Stream*>(&it->second);
  return cached_;
}

Smux::Stream* Smux::find(std::uint32_t sid) { return const_cast<Stream*>(std::as_const(*this).find(sid)); }

void Smux::erase(std::uint32_t sid) {
  if (cached_sid_ == sid) cached_ = nullptr;
  streams_.erase(sid);
}

void Smux::retire(std::uint32_t sid, Stream& stream) {
  release_unread(stream);
  stream.gone = true;
  // Even if there is nothing to send: the removed stream stays in the table until its events are drained.
  // Otherwise a SYN with the same sid would create a stream that inherits them.
  if (!stream.lingering) queue_control(sid, stream);
}

// Both ends have closed, or the peer has reset the stream, and all its events were delivered.
bool Smux::erase_if_over(std::uint32_t sid, const Stream& stream) {
  const bool over = stream.finished && stream.end_delivered && stream.received == stream.consumed;
  if (stream.queued || stream.lingering || !(stream.gone || over)) return false;
  erase(sid);
  return true;
}

void Smux::release_unread(Stream& stream) {
  budget_.remove(stream.received - stream.consumed);
  stream.consumed = stream.received;
}

// --- receiving ---

void Smux::handle_bytes(TimePoint now, MutableBytes bytes) {
  if (bytes.empty() || !error_.empty()) return;
  last_arrival_ = now;
  while (!bytes.empty() && error_.empty()) {
    if (payload_left_ > 0) {
      const std::size_t take = std::min<std::size_t>(payload_left_, bytes.size());
      payload_left_ -= static_cast<std::uint32_t>(take);
      handle_payload(bytes.first(take));
      bytes = bytes.subspan(take);
      continue;
    }
    const std::size_t wanted = kFrameHeader + (update_pending_ ? kUpdatePayload : 0);
    const std::size_t take = std::min(wanted - header_size_, bytes.size());
    std::memcpy(header_ + header_size_, bytes.data(), take);
    header_size_ += take;
    bytes = bytes.subspan(take);
    if (header_size_ < wanted) break;
    if (update_pending_) {
      handle_update(header_);
      update_pending_ = false;
      header_size_ = 0;
    } else {
      handle_header(read_frame_header(header_));
      if (!update_pending_) header_size_ = 0;
    }
  }
  watch_budget(now);
}

void Smux::handle_header(const FrameHeader& header) {
  if (header.version != settings_.version) {
    error_ = "the peer uses another smux version";
    return;
  }
  const auto command = static_cast<SmuxCommand>(header.command);
  const std::size_t length = command == SmuxCommand::kUpdate ? kUpdatePayload : 0;
  if (command != SmuxCommand::kPush && header.length != length) {
    error_ = "smux frame of impossible length";
    return;
  }
  if ((unsettled_sid_ || rejected_sid_) && settle_opened(header)) return;
  switch (command) {
    case SmuxCommand::kNop:
      return handle_nop(header.sid);
    case SmuxCommand::kSyn:
      return handle_syn(header.sid);
    case SmuxCommand::kFin:
      return handle_fin(header.sid);
    case SmuxCommand::kPush:
      payload_left_ = header.length;
      payload_sid_ = header.sid;
      return;
    case SmuxCommand::kUpdate:
      if (settings_.version == 2) {
        update_pending_ = true;
        return;
      }
      break;
  }
  error_ = "unknown smux command";
}

void Smux::handle_syn(std::uint32_t sid) {
  const bool expected = (settings_.capabilities & kServerStreams) != 0 && sid % 2 == 0;
  if (role_ == Role::kClient && (!expected || sid == 0 || sid > last_server_sid())) {
    error_ = "the server opened a smux stream";
    return;
  }
  if (find(sid)) return;
  if (streams_.size() >= settings_.max_streams) return reject(sid);
  Stream& stream = streams_[sid];
  begin_window(stream);
  if (stream.update_due) queue_control(sid, stream);
  report_opened(sid);
}

void Smux::handle_fin(std::uint32_t sid) {
  Stream* stream = find(sid);
  if (!stream || stream->gone || stream->peer_finished) return;
  stream->peer_finished = true;
  events_.push_back({StreamEvent::Type::kFinished, sid, stream->tag, {}});
}

void Smux::handle_payload(MutableBytes piece) {
  Stream* stream = find(payload_sid_);
  if (!stream || stream->gone || stream->peer_finished || stream->discards) {
    counters_.discarded_bytes += piece.size();
    return;
  }
  if (overruns(*stream, piece.size())) {
    ++counters_.overrun_streams;
    return give_up(payload_sid_, *stream);
  }
  stream->received += static_cast<std::uint32_t>(piece.size());
  budget_.add(piece.size());
  events_.push_back({StreamEvent::Type::kData, payload_sid_, stream->tag, piece});
}

void Smux::handle_update(const std::uint8_t* frame) {
  const std::uint32_t sid = read_frame_header(frame).sid;
  Stream* stream = find(sid);
  if (!stream || (stream->gone && !stream->lingering)) return;
  note_update(*stream, load_u32(frame + kFrameHeader), load_u32(frame + kFrameHeader + 4));
  if (stream->lingering && !may_be_unread(*stream)) end_lingering(sid, *stream);
  if (stream->gone) return;
  if (serial_diff(stream->sent, stream->peer_consumed) < 0) {
    if (!stream->finished) stream->fin_due = true;
    queue_control(sid, *stream);
    return handle_reset(sid, *stream);
  }
  if (stream->is_blocked) {  // even if it adds no room yet: it shows that the peer is active
    stream->is_blocked = false;
    events_.push_back({StreamEvent::Type::kWritable, sid, stream->tag, {}});
  }
}

std::optional<StreamEvent> Smux::poll_event() {
  while (events_read_ < events_.size()) {
    StreamEvent event = events_[events_read_++];
    if (event.type == StreamEvent::Type::kEvicted) {
      const Stream* stream = find(event.sid);
      event.tag = stream ? stream->tag : 0;
      return event;
    }
    // The owner may have set the tag or reset the stream after the event was queued.
    Stream* stream = find(event.sid);
    if (!stream || stream->gone) continue;
    if (event.type == StreamEvent::Type::kData && stream->discards) continue;
    event.tag = stream->tag;
    if (event.type == StreamEvent::Type::kFinished || event.type == StreamEvent::Type::kReset) {
      stream->end_delivered = true;
      erase_if_over(event.sid, *stream);
    }
    return event;
  }
  events_.clear();
  events_read_ = 0;
  return std::nullopt;
}

// --- streams ---

std::optional<std::uint32_t> Smux::open_stream(StreamKind kind) {
  KCPTUN_CHECK(role_ == Role::kClient || (peer_capabilities() & kServerStreams) != 0);
  KCPTUN_CHECK(kind == StreamKind::kPlain || (settings_.capabilities & kRequestStreams) != 0);
  skip_used_sids();
  if (sids_used_up() || streams_.size() >= settings_.max_streams) return std::nullopt;
  const std::uint32_t sid = next_sid_;
  next_sid_ += 2;
  Stream& stream = streams_[sid];
  if (role_ == Role::kClient) announce_with_stream();
  stream.syn_due = true;
  stream.kind = kind;
  begin_window(stream);
  queue_control(sid, stream);
  return sid;
}

bool Smux::sids_used_up() const { return next_sid_ > last_sid(); }

void Smux::set_tag(std::uint32_t sid, std::uint64_t tag) {
  if (Stream* stream = find(sid)) stream->tag = tag;
}

std::size_t Smux::stream_room(std::uint32_t sid) {
  Stream* stream = find(sid);
  if (!stream || stream->gone || stream->finished) return 0;
  if (settings_.version == 1) return SIZE_MAX;
  const std::uint32_t under_way = stream->sent - stream->peer_consumed;
  if (stream->peer_window > under_way) return stream->peer_window - under_way;
  stream->is_blocked = true;
  return 0;
}

void Smux::record_sent(std::uint32_t sid, std::size_t bytes) {
  Stream* stream = find(sid);
  KCPTUN_CHECK(stream && !stream->finished);
  stream->sent += static_cast<std::uint32_t>(bytes);
}

void Smux::consume(std::uint32_t sid, std::size_t bytes) {
  Stream* stream = find(sid);
  if (!stream || stream->gone) return;
  KCPTUN_CHECK(bytes <= stream->received - stream->consumed);
  stream->consumed += static_cast<std::uint32_t>(bytes);
  budget_.remove(bytes);
  if (bytes > 0) {
    stream->read = true;
    stream->withheld = false;
  }
  if (erase_if_over(sid, *stream) || settings_.version == 1 || stream->peer_finished) return;
  // Compares with the window that was advertised: the peer may have used it up while less than the fraction
  // of a larger, current window was consumed.
  const bool advertised = stream->last_advertised_window > 0;
  if (!advertised || stream->consumed - stream->last_advertised_consumed >=
                         stream->last_advertised_window / kUpdatesPerWindow) {
    stream->update_due = true;
    queue_control(sid, *stream);
  }
}

void Smux::discard_input(std::uint32_t sid) {
  Stream* stream = find(sid);
  if (!stream || stream->gone) return;
  stream->discards = true;
  release_unread(*stream);
  erase_if_over(sid, *stream);
}

// --- control frames and time ---

void Smux::queue_control(std::uint32_t sid, Stream& stream) {
  if (stream.queued) return;
  stream.queued = true;
  control_.push_back(sid);
}

void Smux::append_frame(std::vector<std::uint8_t>& out, SmuxCommand command, std::uint32_t sid,
                        Bytes payload) const {
  const std::size_t at = out.size();
  out.resize(at + kFrameHeader + payload.size());
  write_frame_header(out.data() + at, {version(), static_cast<std::uint8_t>(command),
                                       static_cast<std::uint16_t>(payload.size()), sid});
  if (!payload.empty()) std::memcpy(out.data() + at + kFrameHeader, payload.data(), payload.size());
}

void Smux::append_update(std::vector<std::uint8_t>& out, std::uint32_t sid, std::uint32_t consumed,
                         std::uint32_t window) const {
  if (settings_.version == 1) return;
  std::uint8_t payload[kUpdatePayload];
  store_u32(payload, consumed);
  store_u32(payload + 4, window);
  append_frame(out, SmuxCommand::kUpdate, sid, payload);
}

void Smux::append_control(std::vector<std::uint8_t>& out, std::uint32_t sid, Stream& stream) {
  if (stream.syn_due) append_opening(out, sid, stream);
  if (stream.update_due && !stream.gone) {
    const std::uint32_t window = window_of(stream);
    append_update(out, sid, stream.consumed, window);
    stream.last_advertised_consumed = stream.consumed;
    stream.last_advertised_window = window;
    stream.max_window = std::max(stream.max_window, window);
  }
  if (!stream.lingering) append_end(out, sid, stream);
  stream.syn_due = stream.update_due = stream.queued = false;
}

void Smux::poll_control(std::vector<std::uint8_t>& out, std::size_t limit) {
  if (role_ == Role::kServer) append_mark(out);
  if (std::exchange(nop_due_, false)) append_frame(out, SmuxCommand::kNop, 0, {});
  if (mark_first_) append_mark(out);
  while (!control_.empty() && out.size() < limit) {
    const std::uint32_t sid = control_.front();
    control_.pop_front();
    Stream* stream = find(sid);
    KCPTUN_CHECK(stream && stream->queued);
    append_control(out, sid, *stream);
    erase_if_over(sid, *stream);
  }
  append_mark(out);
}

void Smux::handle_timeout(TimePoint now, bool stalled) {
  if (stalled) last_arrival_ = std::max(last_arrival_, now - settings_.keepalive);
  if (out_of_time(now)) dead_ = true;
  if (now >= next_nop_) add_nop(now);
  poll_lingering(now);
}

void Smux::add_nop(TimePoint now) {
  nop_due_ = true;
  // The server's keepalive is one grid point later: the client's comes first, and the server's is sent with
  // the answer.
  const Duration wait = settings_.keepalive + (role_ == Role::kServer ? kKeepaliveGrid : Duration(0));
  const Duration at = (now + wait).time_since_epoch();
  next_nop_ = TimePoint(at - at % kKeepaliveGrid);
  if (settings_.version == 1) return;
  // The peer may wait for window on streams that we only read, and it resets them if it receives nothing.
  for (auto& [sid, stream] : streams_) {
    if (!stream.finished || stream.peer_finished || stream.gone) continue;
    stream.update_due = true;
    queue_control(sid, stream);
  }
}

// A packet leaves now, in the second half of the keepalive interval. A keepalive in it saves a packet.
void Smux::piggyback_keepalive(TimePoint now) {
  if (next_nop_ - now < settings_.keepalive / 2) add_nop(now);
}

std::optional<TimePoint> Smux::next_timeout() const {
  const TimePoint at = std::min(next_nop_, last_arrival_ + settings_.dead_after);
  return std::min({at, first_fins_.next_timeout().value_or(at), lingering_.next_timeout().value_or(at)});
}

void Smux::fit_buffers(std::uint64_t bytes) {
  KCPTUN_CHECK(settings_.buffers_follow_window && bytes <= kMaxStreamBuffer);
  stream_buffer_ = std::max(stream_buffer_, static_cast<std::uint32_t>(bytes));
  budget_.raise_limit(2 * bytes);  // an unread stream must not block the others
}

void Smux::trim() {
  events_.shrink_to_fit();
  if (control_.empty()) control_.shrink_to_fit();
}

}  // namespace kcptun
