// The multiplexer: many streams over one byte stream, with the flow control of smux 1 and 2
// (docs/develop/protocol.md section 6).
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
#include "core/smux/capabilities.h"
#include "core/smux/frame.h"
#include "core/smux/lingering_ends.h"
#include "core/smux/receive_budget.h"

namespace kcptun {

/// What the payload of a stream begins with (docs/develop/protocol.md section 12).
enum class StreamKind : std::uint8_t {
  kPlain,    // the application's bytes, for the server's target
  kRequest,  // a request that names the target
};

/// An event of a stream, in order. Link documents the lifetime of the view `data`.
struct StreamEvent {
  enum class Type : std::uint8_t {
    kOpened,    // the peer opened the stream; its kind() is known
    kData,      // bytes arrived; call consume() when they were delivered
    kFinished,  // the peer has closed its direction
    kWritable,  // the stream had no window, and the peer has since advertised one
    // The peer has reset the stream: nothing more arrives and nothing more is accepted. See consume().
    kReset,
    kEvicted,  // this end has reset the stream and removed it: its owner must free what it holds now
  };
  Type type = Type::kData;
  std::uint32_t sid = 0;
  std::uint64_t tag = 0;  // the value of set_tag(); 0 before
  MutableBytes data;
};

/// Stalled streams: streams that held unread bytes and were not read between the last two sweeps.
struct StreamStalls {
  std::size_t streams = 0;
  std::uint64_t bytes = 0;                 // unread bytes of these streams
  std::uint32_t max_sid = 0;               // the one with the most unread bytes
  std::optional<TimePoint> stalled_since;  // the session has received nothing since then
};

/// Handles frames and streams. It stores no payload: received payload leaves as views, and the Link frames
/// outgoing payload in place.
/// Bounds: `max_streams` streams; unread bytes up to each stream's window and up to the ReceiveBudget, which
/// the caller enforces by feeding no bytes while !can_receive(). Pending control frames are flags of their
/// streams.
class Smux {
 public:
  struct Counters {
    std::uint64_t rejected_streams = 0;  // SYNs beyond max_streams
    std::uint64_t discarded_bytes = 0;   // for unknown streams
    std::uint64_t broken_streams = 0;
    std::uint64_t overrun_streams = 0;  // reset because the peer exceeded their window
    std::uint64_t evicted_streams = 0;  // reset to free their memory
  };

  /// Interval of sweep() while there are too many unread bytes.
  static constexpr Duration kSweepEvery = milliseconds(250);
  /// In sweeps (10 s). A stream not read for this long may be reset.
  static constexpr std::uint8_t kEvictSweeps = 40;

  /// `spread`: sessions that start together with different values send their keepalives at different times.
  /// `memory`: see ReceiveBudget.
  Smux(Role role, const SmuxSettings& settings, TimePoint now, std::uint16_t spread = 0,
       MemoryQuota* memory = nullptr);

  // --- the peer's byte stream ---

  /// Maximum number of queued events. Without it, tiny frames could take more memory than the budget of their
  /// bytes.
  static constexpr std::size_t kMaxEvents = 65536;
  static constexpr std::uint64_t kMaxStreamBuffer = 0x7fffffff;
  /// A stream's send window before the peer has advertised one.
  static constexpr std::uint32_t kInitialWindow = 262144;
  /// False while the receive budget is exhausted or too many events are queued. Feed no bytes then.
  bool can_receive() const { return budget_.can_receive() && events_.size() - events_read_ < kMaxEvents; }
  /// Processes the next bytes. After a protocol error the session is over: see error().
  void handle_bytes(TimePoint now, MutableBytes bytes);
  /// The protocol error of the peer that ended the session; empty if there is none.
  std::string_view error() const { return error_; }
  std::optional<StreamEvent> poll_event();

  // --- streams ---

  /// Opens a stream. None if the sids are used up or the session has too many streams.
  /// REQUIRES: SmuxSettings::capabilities has kRequestStreams for a request stream; a server's peer has
  /// announced kServerStreams.
  std::optional<std::uint32_t> open_stream(StreamKind kind = StreamKind::kPlain);
  /// True if open_stream() can never succeed again: a new session is needed.
  bool sids_used_up() const;
  void set_tag(std::uint32_t sid, std::uint64_t tag);
  /// None for a stream that is unknown or was removed by its owner.
  std::optional<std::uint64_t> tag(std::uint32_t sid) const {
    const Stream* stream = find(sid);
    return stream && !stream->gone ? std::optional(stream->tag) : std::nullopt;
  }
  /// Payload bytes that may be sent on the stream now: its window in version 2. 0 for a finished or unknown
  /// stream. If it returns 0 for lack of window, kWritable follows the peer's next window update.
  std::size_t stream_room(std::uint32_t sid);
  /// `bytes` of payload were framed for the stream. REQUIRES: bytes <= stream_room(sid).
  void record_sent(std::uint32_t sid, std::size_t bytes);
  /// `bytes` of a stream's events were delivered; returns them to the budget. A stream that the peer has
  /// reset is removed once all its bytes were consumed.
  void consume(std::uint32_t sid, std::size_t bytes);
  /// The stream's input is no longer read. Discards received and future bytes, and their events.
  void discard_input(std::uint32_t sid);
  /// Closes our direction: a FIN follows the framed data. If the peer has closed its direction, too, the
  /// stream is removed. `position`: the end of the data framed so far, in the units of handle_acknowledged().
  /// If the peer has closed first and is not known to be a program of this project, the FIN waits until the
  /// peer has read everything: newer Go peers discard unread data once both directions are closed
  /// (docs/develop/protocol.md section 6).
  void finish(std::uint32_t sid, std::uint32_t position = 0);
  /// Resets the stream and removes it for its owner. A program of this project receives a reset frame
  /// (docs/develop/protocol.md section 12). Other peers receive a FIN and, in version 2, an invalid UPD,
  /// which makes Go peers close their side (section 6: "claims to have consumed more than was sent"). Both
  /// wait until the peer has read the data framed before.
  void reset_stream(std::uint32_t sid, std::uint32_t position = 0);
  /// All bytes before `position` of the session's byte stream are acknowledged: waiting ends may proceed.
  void handle_acknowledged(TimePoint now, std::uint32_t position) {
    if (!first_fins_.empty()) first_fins_.handle_acknowledged(now, position);
    if (!lingering_.empty()) lingering_.handle_acknowledged(now, position);
  }
  /// Releases all ends that wait until their peer has read.
  void release_lingering();
  bool lingering() const { return !lingering_.empty() || !first_fins_.empty(); }
  /// True once the peer has marked itself as a program of this project (docs/develop/protocol.md section 12).
  bool peer_is_ours() const { return peer_is_ours_; }
  /// Sends the mark and the capabilities now instead of with the first stream (client only). Once.
  void announce();
  /// Capability bits that the peer has announced. They never change once they are there.
  std::uint32_t peer_capabilities() const { return peer_capabilities_.value_or(0); }

  // --- control frames and time ---

  bool has_control() const { return nop_due_ || mark_due_ || !control_.empty(); }
  /// Appends pending control frames to `out`: at most `limit` bytes, rounded up to the frames of one stream.
  void poll_control(std::vector<std::uint8_t>& out, std::size_t limit);
  /// Keepalive. `stalled`: nothing can arrive because this end has stopped reading.
  void handle_timeout(TimePoint now, bool stalled);
  /// A packet of the peer arrived, with any content and in any order. Received stream bytes need no such
  /// call.
  void handle_peer_activity(TimePoint now) { last_arrival_ = now; }
  /// A packet with acknowledgements and no data is about to leave: adds a keepalive that is due soon.
  void piggyback_keepalive(TimePoint now);
  /// Sends a keepalive now. The peer's answer confirms the path, and the peer learns our address.
  void send_keepalive(TimePoint now) { add_nop(now); }
  std::optional<TimePoint> next_timeout() const;
  /// True if nothing arrived for SmuxSettings::dead_after: the session is over.
  bool dead() const { return dead_; }
  /// True if the session is due to be declared dead.
  bool out_of_time(TimePoint now) const { return now - last_arrival_ >= settings_.dead_after; }

  // --- unread streams (smux_stalls.cc) ---

  /// When sweep() is due; none while there are few unread bytes.
  std::optional<TimePoint> next_sweep() const { return sweep_at_; }
  /// Received bytes cannot be processed (see can_receive()): starts sweeps, whichever session holds the
  /// memory.
  void handle_blocked_input(TimePoint now) { watch_budget(now); }
  /// Withdraws the windows of unread streams. If the process's memory is used up, resets the stream with the
  /// most unread bytes that was not read for kEvictSweeps, so that the others can continue.
  void sweep(TimePoint now);
  /// No stalled streams while there are few unread bytes.
  const StreamStalls& stalls() const { return stalls_; }

  /// A whole receive window of `bytes` may arrive at once: raises the streams' windows to it and the receive
  /// budget to twice as much. They never shrink.
  /// REQUIRES: SmuxSettings::buffers_follow_window.
  void fit_buffers(std::uint64_t bytes);
  bool buffers_follow_window() const { return settings_.buffers_follow_window; }
  bool has_stream(std::uint32_t sid) const { return find(sid) != nullptr; }
  /// kPlain for an unknown stream.
  StreamKind kind(std::uint32_t sid) const {
    const Stream* stream = find(sid);
    return stream ? stream->kind : StreamKind::kPlain;
  }
  std::size_t streams() const { return streams_.size(); }
  /// Bytes in events that have not been consumed.
  std::size_t buffered() const { return static_cast<std::size_t>(budget_.held()); }
  const ReceiveBudget& budget() const { return budget_; }
  /// True if the process is short of memory, so that windows are smaller than configured.
  bool is_short_of_memory() const { return budget_.is_short(stream_buffer_); }
  std::uint8_t version() const { return static_cast<std::uint8_t>(settings_.version); }
  const Counters& counters() const { return counters_; }
  /// Frees idle memory.
  void trim();

 private:
  struct Stream {
    std::uint64_t tag = 0;
    std::uint32_t sent = 0;           // payload bytes framed, modulo 2^32
    std::uint32_t peer_consumed = 0;  // version 2: from the last UPD
    std::uint32_t peer_window = kInitialWindow;
    std::uint32_t received = 0;                  // payload bytes delivered in events
    std::uint32_t consumed = 0;                  // of those, consumed
    std::uint32_t last_advertised_consumed = 0;  // in the last UPD sent
    // The window in that UPD; it may have grown since. 0: no UPD sent.
    std::uint32_t last_advertised_window = 0;
    std::uint32_t max_window = kInitialWindow;  // the largest window that the peer may use
    std::uint8_t unread_sweeps = 0;             // consecutive sweeps in which it held bytes and none was read
    bool read = false;                          // since the last sweep
    bool withheld = false;                      // unread: its window is limited to what it holds
    bool queued = false;                        // is in control_
    bool syn_due = false;
    StreamKind kind = StreamKind::kPlain;
    bool update_due = false;
    bool fin_due = false;
    bool reset_due = false;  // a reset of the stream is due
    bool lingering = false;  // FIN and reset wait until the peer has read
    bool finished = false;   // finish() was called, or the peer accepts no more
    bool peer_finished = false;
    bool reset_by_peer = false;
    bool discards = false;          // discard_input() was called
    bool is_blocked = false;        // stream_room() returned 0: kWritable is due
    bool end_delivered = false;     // the peer's FIN event was polled
    bool update_triggered = false;  // at the last UPD, the bytes that trigger the next one were already sent
    TimePoint updated_at{};         // when the last UPD arrived; TimePoint{}: none did
    // From the UPD before the last to the last, if the peer had all the bytes by then.
    Duration reading_time{0};
    bool gone = false;  // to be removed once its control frames were sent
  };
  using Streams = std::unordered_map<std::uint32_t, Stream>;

  void handle_header(const FrameHeader& header);
  void handle_nop(std::uint32_t sid);
  void handle_mark();
  void handle_capabilities(std::uint32_t sid);
  void announce_with_stream();
  void append_mark(std::vector<std::uint8_t>& out);
  void append_opening(std::vector<std::uint8_t>& out, std::uint32_t sid, const Stream& stream) const;
  std::uint32_t last_sid() const;
  void skip_used_sids();
  void report_opened(std::uint32_t sid);
  void reject(std::uint32_t sid);
  bool settle_opened(const FrameHeader& next);
  void handle_payload(MutableBytes piece);
  void handle_update(const std::uint8_t* payload);
  void handle_syn(std::uint32_t sid);
  void handle_fin(std::uint32_t sid);
  void handle_reset(std::uint32_t sid, Stream& stream);
  void note_update(Stream& stream, std::uint32_t consumed, std::uint32_t window);
  bool may_be_unread(const Stream& stream) const;
  bool linger_over(TimePoint now, const Stream& stream, const LingeringEnds::End& end, Duration step) const;
  void linger(std::uint32_t sid, Stream& stream, std::uint32_t position);
  void sweep_lingering(LingeringEnds& ends);
  void poll_first_fins(TimePoint now);
  void end_lingering(std::uint32_t sid, Stream& stream);
  void poll_lingering(TimePoint now);
  void queue_control(std::uint32_t sid, Stream& stream);
  void append_frame(std::vector<std::uint8_t>& out, SmuxCommand command, std::uint32_t sid,
                    Bytes payload) const;
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
  void sweep_stream(std::uint32_t sid, Stream& stream);
  bool overruns(const Stream& stream, std::size_t bytes) const;
  void give_up(std::uint32_t sid, Stream& stream);
  void evict_largest();
  std::uint32_t window_of(const Stream& stream) const;

  const Role role_;
  const SmuxSettings settings_;
  ReceiveBudget budget_;  // payload bytes in unconsumed events, over all streams
  std::uint32_t stream_buffer_;
  Streams streams_;
  // Most frames belong to the stream of the previous frame. Nodes of an unordered_map have stable addresses.
  mutable std::uint32_t cached_sid_ = 0;
  mutable Stream* cached_ = nullptr;

  std::uint32_t next_sid_;             // of a stream that this end opens: odd at a client, even at a server
  std::deque<std::uint32_t> control_;  // streams with pending control frames, each once
  // How long a FIN waits that comes first. Another peer may close its direction at any time, and then loses
  // what its application has not read; on loopback 0.2 s were enough for a busy one. The application sees the
  // end of the stream so much later.
  static constexpr Duration kFirstFinStep = milliseconds(200);
  static constexpr Duration kEndStep = seconds(1);
  LingeringEnds first_fins_{kFirstFinStep};
  LingeringEnds lingering_{kEndStep};  // FINs behind the peer's, and resets
  std::vector<StreamEvent> events_;
  std::size_t events_read_ = 0;
  std::optional<TimePoint> sweep_at_;
  StreamStalls stalls_;

  // Parser: an incomplete header, then the payload that it announced.
  std::uint8_t header_[kFrameHeader + kUpdatePayload];
  std::size_t header_size_ = 0;
  std::uint32_t payload_left_ = 0;
  std::uint32_t payload_sid_ = 0;
  bool update_pending_ = false;  // header_ receives the payload of an UPD

  std::string_view error_;
  TimePoint last_arrival_;
  TimePoint next_nop_;
  bool nop_due_ = false;
  bool mark_due_ = false;
  bool marked_ = false;      // the mark is pending or was sent
  bool mark_first_ = false;  // client: it precedes the first SYN
  bool peer_is_ours_ = false;
  std::optional<std::uint32_t> peer_capabilities_;
  // Server: a new stream that is not reported yet, because the frame behind its SYN shows its kind.
  std::optional<std::uint32_t> unsettled_sid_;
  // Server: a new stream that was rejected. The frame behind its SYN shows its kind likewise.
  std::optional<std::uint32_t> rejected_sid_;
  bool dead_ = false;
  Counters counters_;
};

}  // namespace kcptun
