// Ends of streams: FIN, resets from either side, and when the peer is notified.
#include <algorithm>
#include <utility>

#include "core/base/serial.h"
#include "core/smux/smux.h"

namespace kcptun {
namespace {
// Go peers send a window update at their first read and whenever this fraction (1/2) of their window was
// consumed.
constexpr std::uint32_t kGoUpdatesPerWindow = 2;
// Added to the real count in the UPD that resets a stream. The result is beyond any window, and its
// difference to what the peer sent is negative as a signed number, which is what Go peers check.
constexpr std::uint32_t kImpossibleConsumed = 0x40000000;
// Factor: the last part of a stream may be read more slowly than the one before it.
constexpr int kReadingTimes = 2;
// Maximum time that an end waits without a window update.
constexpr Duration kMaxLinger = seconds(30);
}  // namespace

// --- closed by this end ---

void Smux::finish(std::uint32_t sid, std::uint32_t position) {
  Stream* stream = find(sid);
  if (!stream || stream->gone || stream->finished) return;
  stream->finished = true;
  stream->fin_due = true;
  if (may_be_unread(*stream)) return linger(sid, *stream, position);
  queue_control(sid, *stream);
}

void Smux::reset_stream(std::uint32_t sid, std::uint32_t position) {
  Stream* stream = find(sid);
  if (!stream || stream->gone) return;
  if (!stream->reset_by_peer) {
    if (!stream->finished) stream->fin_due = true;
    // Also if the peer has closed: otherwise the data that it has so far would look like the complete answer.
    if (settings_.version == 2 || peer_is_ours_) stream->reset_due = true;
    if ((stream->reset_due || stream->fin_due) && may_be_unread(*stream)) linger(sid, *stream, position);
  }
  retire(sid, *stream);
}

void Smux::append_end(std::vector<std::uint8_t>& out, std::uint32_t sid, Stream& stream) const {
  if (stream.reset_due && peer_is_ours_) {
    append_frame(out, SmuxCommand::kNop, sid, {});
  } else {
    if (stream.reset_due) append_update(out, sid, stream.received + kImpossibleConsumed, stream_buffer_);
    if (stream.fin_due) append_frame(out, SmuxCommand::kFin, sid, {});
  }
  stream.reset_due = stream.fin_due = false;
}

// --- closed by the peer ---

// NOPs of other peers have sid 0. Capabilities and open streams have no sids in common.
void Smux::handle_nop(std::uint32_t sid) {
  if (sid == kProgramMark) return handle_mark();
  if (!peer_is_ours_ || sid == 0) return;
  if (sid % 2 == 0) handle_capabilities(sid);
  Stream* stream = find(sid);
  if (stream && !stream->gone) handle_reset(sid, *stream);
}

// In order after the data received before: the owner reads that first.
void Smux::handle_reset(std::uint32_t sid, Stream& stream) {
  if (stream.reset_by_peer) return;
  ++counters_.broken_streams;
  stream.reset_by_peer = stream.finished = stream.peer_finished = true;
  stream.lingering = false;
  events_.push_back({StreamEvent::Type::kReset, sid, stream.tag, {}});
}

// --- ends that wait ---

void Smux::note_update(Stream& stream, std::uint32_t consumed, std::uint32_t window) {
  stream.peer_consumed = consumed;
  stream.peer_window = window;
  stream.reading_time = stream.update_triggered ? last_arrival_ - stream.updated_at : Duration(0);
  stream.updated_at = last_arrival_;
  stream.update_triggered = stream.sent - consumed >= window / kGoUpdatesPerWindow;
}

// Applies only to a peer that may discard unread data.
bool Smux::may_be_unread(const Stream& stream) const {
  return !peer_is_ours_ && (settings_.version == 1 ? stream.sent != 0 : stream.sent != stream.peer_consumed);
}

void Smux::linger(std::uint32_t sid, Stream& stream, std::uint32_t position) {
  if (std::exchange(stream.lingering, true)) return;
  LingeringEnds& ends = stream.peer_finished || stream.reset_due ? lingering_ : first_fins_;
  sweep_lingering(ends);
  ends.add(sid, position);
}

void Smux::sweep_lingering(LingeringEnds& ends) {
  if (ends.size() <= 2 * streams_.size()) return;
  ends.sweep([this](std::uint32_t entry) {
    const Stream* of = find(entry);
    return !of || !of->lingering;
  });
}

void Smux::end_lingering(std::uint32_t sid, Stream& stream) {
  stream.lingering = false;
  queue_control(sid, stream);
}

void Smux::release_lingering() {
  if (!lingering()) return;
  first_fins_.clear();
  lingering_.clear();
  for (auto& [sid, stream] : streams_)
    if (stream.lingering) end_lingering(sid, stream);
}

// All data was acknowledged at `end.since`, at least `step` ago. Version 1 gives no further
// information. In version 2 a peer that has read everything leaves less than one update's fraction of its
// window unreported; more means that it is still reading.
bool Smux::linger_over(TimePoint now, const Stream& stream, const LingeringEnds::End& end,
                       Duration step) const {
  if (settings_.version == 1) return true;
  const Duration quiet = now - std::max(end.since, stream.updated_at);
  if (quiet >= kMaxLinger) return true;
  const bool update_expected = stream.updated_at == TimePoint{} ||
                               stream.sent - stream.peer_consumed >= stream.peer_window / kGoUpdatesPerWindow;
  return !update_expected && quiet >= std::max<Duration>(step, kReadingTimes * stream.reading_time);
}

// If the peer has closed its direction meanwhile, or the stream was reset, more is at stake.
void Smux::poll_first_fins(TimePoint now) {
  while (const std::optional<LingeringEnds::End> end = first_fins_.poll(now)) {
    Stream* stream = find(end->sid);
    if (!stream || !stream->lingering) continue;
    if (stream->peer_finished || stream->reset_due) {
      sweep_lingering(lingering_);
      lingering_.requeue(now, *end);
    } else if (linger_over(now, *stream, *end, first_fins_.step())) {
      end_lingering(end->sid, *stream);
    } else {
      first_fins_.requeue(now, *end);
    }
  }
}

void Smux::poll_lingering(TimePoint now) {
  poll_first_fins(now);
  while (const std::optional<LingeringEnds::End> end = lingering_.poll(now)) {
    Stream* stream = find(end->sid);
    if (!stream || !stream->lingering) continue;
    if (linger_over(now, *stream, *end, lingering_.step())) {
      end_lingering(end->sid, *stream);
    } else {
      lingering_.requeue(now, *end);
    }
  }
}

}  // namespace kcptun
