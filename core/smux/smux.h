// The multiplexer: many streams over one byte stream, with the flow control of smux 1 and 2 (docs/protocol.md
// section 6).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/smux/frame.h"
#include "core/smux/lingering_ends.h"
#include "core/smux/receive_budget.h"

namespace kcptun {

/// What the peer did to a stream, in order. `data` is a view whose life the Link documents.
struct StreamEvent {
  enum class Type : std::uint8_t {
    kOpened,    // the peer opened it (server only)
    kData,      // bytes came; answer with consume() when they were passed on
    kFinished,  // the peer will send no more
    kWritable,  // it had no room, and the peer has told of its window since
    kBroken,    // the peer has reset it: nothing more comes, nothing more is taken. See consume()
    kGivenUp,   // our end has reset it, and it is gone: what its owner holds is to be freed now
  };
  Type type = Type::kData;
  std::uint32_t sid = 0;
  std::uint64_t tag = 0;  // what the owner set with set_tag(), 0 before
  MutableBytes data;
};

/// Streams that hold unread bytes of which none has been read for a sweep, as the last sweep found them.
struct StreamStalls {
  std::size_t streams = 0;
  std::uint64_t bytes = 0;         // that they hold
  std::uint32_t max_sid = 0;   // the one that holds most
  std::optional<TimePoint> still_since;  // the session takes nothing more in since
};

/// Knows frames and streams; keeps no payload: what comes in goes out as views, what goes out is framed in place by
/// the Link. Bounds: `max_streams` streams; unread bytes up to a stream's window and up to the ReceiveBudget, which its
/// caller enforces: it stops feeding while !willing(); control frames that wait are flags of their streams.
class Smux {
 public:
  struct Counters {
    std::uint64_t refused_streams = 0;  // SYN beyond max_streams
    std::uint64_t discarded_bytes = 0;  // for streams that are gone
    std::uint64_t broken_streams = 0;
    std::uint64_t overrun_streams = 0;   // given up: the peer sent more than their window
    std::uint64_t given_up_streams = 0;  // for their memory
  };

  /// While unread bytes are too many, streams are looked at so often.
  static constexpr Duration kSweepEvery = milliseconds(250);
  /// A stream that was not read in so many looks may be given up (10 s).
  static constexpr std::uint8_t kGiveUpSweeps = 40;

  /// `spread`: sessions that begin together with different values don't send their keepalives together. `memory`:
  /// see ReceiveBudget.
  Smux(Role role, const SmuxSettings& settings, TimePoint now, std::uint16_t spread = 0,
       MemoryQuota* memory = nullptr);

  // --- the peer's byte stream ---

  /// Events that wait: tiny frames must not cost more memory than their bytes' budget allows.
  static constexpr std::size_t kMaxEvents = 65536;
  static constexpr std::uint64_t kMaxStreamBuffer = 0x7fffffff;
  /// What may be sent on a stream before a window is told of.
  static constexpr std::uint32_t kInitialWindow = 262144;
  /// False while the receive budget is used up, or too many events wait: feed nothing then.
  bool can_receive() const { return budget_.admits() && events_.size() - events_read_ < kMaxEvents; }
  /// Takes the next bytes. On a protocol error the session is over: see error().
  void handle_bytes(TimePoint now, MutableBytes bytes);
  /// Why the session is over by the peer's fault; empty while it isn't.
  std::string_view error() const { return error_; }
  std::optional<StreamEvent> poll_event();

  // --- streams ---

  /// Opens a stream (client only); none when the session has used up its sids or has too many streams.
  std::optional<std::uint32_t> open_stream();
  /// True when open_stream() will never again open one: a new session is needed.
  bool sids_used_up() const;
  void set_tag(std::uint32_t sid, std::uint64_t tag);
  /// Payload bytes that may be sent on the stream now: its window in version 2. 0 for a finished or unknown stream.
  /// An answer of 0 for lack of window is followed by kWritable at the peer's next word about it.
  std::size_t stream_room(std::uint32_t sid);
  /// `bytes` of payload were framed for the stream. REQUIRES: bytes <= stream_room(sid).
  void record_sent(std::uint32_t sid, std::size_t bytes);
  /// `bytes` of a stream's events were passed on to their reader; gives the budget back. A stream that the peer has reset
  /// is gone once all of them were.
  void consume(std::uint32_t sid, std::size_t bytes);
  /// Nobody reads this stream any more: what has come and what will come is dropped, and its events with it.
  void discard_input(std::uint32_t sid);
  /// We send no more on this stream: FIN follows what was framed. When the peer has finished too, the stream is gone.
  /// `position`: the end of what was framed so far, as handle_acknowledged() counts. Where the peer has finished before,
  /// and is not known to be ours, FIN waits until the peer has read all of it: newer Go peers throw away what they have
  /// not read once both sides have finished (section 6).
  void finish(std::uint32_t sid, std::uint32_t position = 0);
  /// Resets the stream: for its owner it is gone. A peer of ours is told by a reset frame (section 12); others by FIN and,
  /// in version 2, by an impossible UPD, upon which Go peers close their side too (section 6: "claims to have consumed
  /// more than was sent"). Those wait until the peer has read what was framed before.
  void reset_stream(std::uint32_t sid, std::uint32_t position = 0);
  /// All bytes before `position` of the stream below have been acknowledged: ends that wait may go on.
  void handle_acknowledged(TimePoint now, std::uint32_t position) {
    if (!lingering_.empty()) lingering_.handle_acknowledged(now, position);
  }
  /// Lets all ends go that wait for their peer's reading.
  void release_lingering();
  bool lingering() const { return !lingering_.empty(); }
  /// True once the peer has marked itself as one of our programs (section 12).
  bool peer_is_ours() const { return peer_is_ours_; }

  // --- control frames and time ---

  bool has_control() const { return nop_due_ || mark_due_ || !control_.empty(); }
  /// Bytes of control frames to send now are appended to `out` (at most `limit` rounded up to one stream's).
  void poll_control(std::vector<std::uint8_t>& out, std::size_t limit);
  /// Keepalive. `stalled`: nothing can arrive because our reader is stopped.
  void handle_timeout(TimePoint now, bool stalled);
  /// A packet of the peer came, whatever was in it and in whatever order: it is there. Bytes need not be told of.
  void handle_peer_activity(TimePoint now) { last_arrival_ = now; }
  /// An acknowledgement is about to leave with no data: takes the keepalive along if it is due soon.
  void piggyback_keepalive(TimePoint now);
  /// Sends a keepalive now: the peer answers it, and learns where we are.
  void send_keepalive(TimePoint now) { add_nop(now); }
  std::optional<TimePoint> next_timeout() const;
  /// True when nothing came for SmuxSettings::dead_after: the session is over.
  bool dead() const { return dead_; }
  /// True when that is due.
  bool out_of_time(TimePoint now) const { return now - last_arrival_ >= settings_.dead_after; }

  // --- streams that nobody reads (smux_stalls.cc) ---

  /// When sweep() is due; none while unread bytes are few.
  std::optional<TimePoint> next_sweep() const { return sweep_at_; }
  /// Bytes wait that may not come in (willing()): streams are looked at, whoever holds the memory.
  void handle_refusal(TimePoint now) { watch_budget(now); }
  /// Takes the window of streams that nobody reads back. When the memory of the process is used up, the one of them
  /// that holds most is given up, if it has not been read for kGiveUpSweeps: others go on.
  void sweep(TimePoint now);
  /// None stalled while unread bytes are few.
  const StreamStalls& stalls() const { return stalls_; }

  /// A whole receive window of `bytes` may arrive at once: the streams' windows, and with twice as much the
  /// receive budget, grow with it. They never shrink. REQUIRES: SmuxSettings::buffers_follow_window.
  void fit_buffers(std::uint64_t bytes);
  bool buffers_follow_window() const { return settings_.buffers_follow_window; }
  bool has_stream(std::uint32_t sid) const { return find(sid) != nullptr; }
  std::size_t streams() const { return streams_.size(); }
  /// Bytes in events that nobody has consumed.
  std::size_t buffered() const { return budget_.held(); }
  const ReceiveBudget& budget() const { return budget_; }
  /// True when little memory of the process is left, so that windows are smaller than they could be.
  bool is_short_of_memory() const { return budget_.is_short(stream_buffer_); }
  std::uint8_t version() const { return static_cast<std::uint8_t>(settings_.version); }
  const Counters& counters() const { return counters_; }
  /// Gives idle memory back.
  void trim();

 private:
  struct Stream {
    std::uint64_t tag = 0;
    std::uint32_t sent = 0;            // payload bytes framed, modulo 2^32
    std::uint32_t peer_consumed = 0;   // version 2: as told by UPD
    std::uint32_t peer_window = kInitialWindow;
    std::uint32_t received = 0;        // payload bytes given out in events
    std::uint32_t consumed = 0;        // of those, passed on
    std::uint32_t last_advertised_consumed = 0;   // in the last UPD
    std::uint32_t last_advertised_window = 0;     // and the window told with it, which may have grown since; 0: none has left
    std::uint32_t max_window = kInitialWindow;  // that the peer knows or has known
    std::uint8_t unread_sweeps = 0;    // in a row, in which it held bytes and none was read
    bool read = false;                 // since the last sweep
    bool withheld = false;             // nobody reads it: its window is what it holds
    bool queued = false;               // is in control_
    bool syn_due = false;
    bool update_due = false;
    bool fin_due = false;
    bool break_due = false;            // tell the peer to break the stream
    bool lingering = false;            // these two wait for the peer's reading
    bool finished = false;             // finish() was called, or the peer takes no more
    bool peer_finished = false;
    bool broken = false;               // by the peer
    bool discards = false;             // discard_input() was called
    bool is_blocked = false;              // stream_room() said 0: owed a kWritable
    bool end_delivered = false;             // the event of the peer's end was polled
    bool behind = false;               // when the last UPD came, what the next one will tell of had left
    TimePoint updated_at{};            // when the last UPD came; TimePoint{}: none has
    Duration reading_time{0};          // from the one before to it, if the peer had all the bytes by then
    bool gone = false;                 // erase once its control frames have left
  };
  using Streams = std::unordered_map<std::uint32_t, Stream>;

  void handle_header(const FrameHeader& header);
  void handle_nop(std::uint32_t sid);
  void handle_payload(MutableBytes piece);
  void handle_update(const std::uint8_t* payload);
  void handle_syn(std::uint32_t sid);
  void handle_fin(std::uint32_t sid);
  void reset_misbehaving_stream(std::uint32_t sid, Stream& stream);
  void note_update(Stream& stream, std::uint32_t consumed, std::uint32_t window);
  bool may_be_unread(const Stream& stream) const;
  bool has_had_time(TimePoint now, const Stream& stream, TimePoint since) const;
  void linger(std::uint32_t sid, Stream& stream, std::uint32_t position);
  void end_lingering(std::uint32_t sid, Stream& stream);
  void poll_lingering(TimePoint now);
  void queue_control(std::uint32_t sid, Stream& stream);
  void append_frame(std::vector<std::uint8_t>& out, SmuxCommand command, std::uint32_t sid, Bytes payload) const;
  void append_control(std::vector<std::uint8_t>& out, std::uint32_t sid, Stream& stream);
  void append_end(std::vector<std::uint8_t>& out, std::uint32_t sid, Stream& stream) const;
  void append_update(std::vector<std::uint8_t>& out, std::uint32_t sid, std::uint32_t consumed,
                     std::uint32_t window) const;
  bool erase_if_over(std::uint32_t sid, const Stream& stream);
  void release_unread(Stream& stream);
  void add_nop(TimePoint now);
  Stream* find(std::uint32_t sid);
  const Stream* find(std::uint32_t sid) const;
  void erase(std::uint32_t sid);
  void retire(std::uint32_t sid, Stream& stream);
  void watch_budget(TimePoint now);
  void begin_window(Stream& stream);
  void look_at(std::uint32_t sid, Stream& stream);
  bool overruns(const Stream& stream, std::size_t bytes) const;
  void give_up(std::uint32_t sid, Stream& stream);
  void give_up_largest();
  std::uint32_t window_of(const Stream& stream) const;

  const Role role_;
  const SmuxSettings settings_;
  ReceiveBudget budget_;               // holds the payload bytes in events not yet consumed, over all streams
  std::uint32_t stream_buffer_;
  Streams streams_;
  // Most frames are for the stream of the frame before. Nodes of an unordered_map keep their place.
  mutable std::uint32_t cached_sid_ = 0;
  mutable Stream* cached_ = nullptr;

  std::uint32_t next_sid_ = 3;
  std::deque<std::uint32_t> control_;  // streams with control frames due, each once
  LingeringEnds lingering_;
  std::vector<StreamEvent> events_;
  std::size_t events_read_ = 0;
  std::optional<TimePoint> sweep_at_;
  StreamStalls stalls_;

  // Parser: a header being gathered, then the payload it announced.
  std::uint8_t header_[kFrameHeader + kUpdatePayload];
  std::size_t header_size_ = 0;
  std::uint32_t payload_left_ = 0;
  std::uint32_t payload_sid_ = 0;
  bool update_pending_ = false;        // the payload of an UPD is being gathered in header_

  std::string_view error_;
  TimePoint last_arrival_;
  TimePoint next_nop_;
  bool nop_due_ = false;
  bool mark_due_ = false;
  bool marked_ = false;                // the mark is due or has left
  bool peer_is_ours_ = false;
  bool dead_ = false;
  Counters counters_;
};

}  // namespace kcptun
