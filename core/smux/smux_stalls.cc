// Unread streams: limits what they hold, so that the others can continue.
#include <algorithm>
#include <utility>

#include "core/smux/smux.h"

namespace kcptun {

// A peer may combine a new count of consumed bytes with the previous window, or the reverse, because Go's
// peers read the two separately. The bound is therefore the largest window advertised, not the last one.
bool Smux::overruns(const Stream& stream, std::size_t bytes) const {
  if (settings_.version == 1) return false;
  return stream.received - stream.consumed + bytes > stream.max_window;
}

std::uint32_t Smux::window_of(const Stream& stream) const {
  if (!stream.withheld) return budget_.window(stream_buffer_);
  return std::min(stream_buffer_, std::max(stream.received - stream.consumed, ReceiveBudget::kMinWindow));
}

// The peer starts with its default window. This end can only reduce it.
void Smux::begin_window(Stream& stream) {
  stream.update_due = settings_.version == 2 && budget_.is_short(kInitialWindow);
}

void Smux::watch_budget(TimePoint now) {
  if (budget_.over_budget(stream_buffer_) || budget_.out_of_memory()) {
    if (!sweep_at_) sweep_at_ = now + kSweepEvery;
  } else {
    sweep_at_.reset();
    stalls_ = {};
  }
}

void Smux::sweep(TimePoint now) {
  const std::optional<TimePoint> stalled_since = stalls_.stalled_since;
  stalls_ = {};
  std::uint64_t largest = 0;
  for (auto& [sid, stream] : streams_) {
    sweep_stream(sid, stream);
    const std::uint64_t unread = stream.received - stream.consumed;
    if (stream.unread_sweeps == 0) continue;
    ++stalls_.streams;
    stalls_.bytes += unread;
    if (unread > largest) stalls_.max_sid = sid;
    largest = std::max(largest, unread);
  }
  if (!budget_.can_receive()) stalls_.stalled_since = stalled_since.value_or(now);
  if (budget_.out_of_memory() && settings_.version == 2) evict_largest();
  sweep_at_.reset();
  watch_budget(now);
}

// Checks whether the stream is read. If not, limits its peer to the bytes already in flight.
void Smux::sweep_stream(std::uint32_t sid, Stream& stream) {
  const bool stalled =
      !std::exchange(stream.read, false) && !stream.gone && stream.received != stream.consumed;
  if (!stalled) {
    stream.unread_sweeps = 0;
    return;
  }
  if (stream.unread_sweeps < kEvictSweeps) ++stream.unread_sweeps;
  if (settings_.version == 1 || stream.peer_finished || stream.withheld) return;
  stream.withheld = true;
  const std::uint32_t known =
      stream.last_advertised_window > 0 ? stream.last_advertised_window : kInitialWindow;
  if (window_of(stream) >= known) return;
  stream.update_due = true;
  queue_control(sid, stream);
}

// An application that paused for long loses its connection. Otherwise all others of the session would stall.
void Smux::evict_largest() {
  Stream* largest = nullptr;
  std::uint32_t max_sid = 0;
  for (auto& [sid, stream] : streams_) {
    if (stream.unread_sweeps < kEvictSweeps) continue;
    if (largest && stream.received - stream.consumed <= largest->received - largest->consumed) continue;
    largest = &stream;
    max_sid = sid;
  }
  if (!largest) return;
  ++counters_.evicted_streams;
  give_up(max_sid, *largest);
}

void Smux::give_up(std::uint32_t sid, Stream& stream) {
  events_.push_back({StreamEvent::Type::kEvicted, sid, stream.tag, {}});
  if (!stream.finished) stream.fin_due = true;
  stream.reset_due = true;
  stream.lingering = false;  // its memory is needed now, even if the peer has not read everything
  retire(sid, stream);
}

}  // namespace kcptun
