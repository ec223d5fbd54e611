// One conversation, composed: FEC, KCP, snappy framing, smux and QPP over the packets of one path.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/packet.h"
#include "core/base/path.h"
#include "core/base/serial.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/crypt/suite.h"
#include "core/fec/erasure_code_cache.h"
#include "core/fec/fec_decoder.h"
#include "core/fec/fec_encoder.h"
#include "core/fec/parity_policy.h"
#include "core/fec/reed_solomon.h"
#include "core/kcp/kcp.h"
#include "core/link/protocol_sniffer.h"
#include "core/link/path_mtu.h"
#include "core/link/path_validation.h"
#include "core/link/rate_limiter.h"
#include "core/link/anti_replay.h"
#include "core/link/liveness_monitor.h"
#include "core/smux/smux.h"
#include "core/stream/qpp.h"
#include "core/stream/snappy_frames.h"

namespace kcptun {

/// What the links of one loop share. The loop owns it and it outlives them.
struct LinkContext {
  explicit LinkContext(const LinkSettings& settings);
  LinkContext(const LinkContext&) = delete;
  LinkContext& operator=(const LinkContext&) = delete;

  /// Gives idle memory back; see BufferPool::trim().
  void trim();
  /// Lays packets out for the suite that will seal and open them.
  void set_overhead(const Suite& suite);

  LinkSettings settings;           // of links that begin from now on; those that are there keep their own
  std::size_t crypto_header = 0;   // of the suite in use (docs/protocol.md section 2)
  std::size_t crypto_trailer = 0;
  std::size_t session_header = 0;  // the last bytes of crypto_header, which the link writes; 0: the suite has none
  UnixTime wall{};                 // with a session header: the time of day, kept by the owner
  const QppPads* qpp = nullptr;    // set when QPP is on; outlives the context
  MemoryQuota* memory = nullptr;   // what the process has for unread bytes; outlives the links; null: no limit
  BufferPool segments{kMaxDatagram};
  BufferPool blocks{kSnappyBlock};  // decompressed stream data
  ErasureCodeCache codes{make_reed_solomon};
  std::vector<std::uint8_t> frames;      // scratch: smux frames before compression, control frames
  std::vector<std::uint8_t> compressed;  // scratch: one snappy chunk
  std::vector<Packet> fresh;             // scratch: bodies of packets that the session has not seen
  PoolBuffer inflated;                   // scratch: one decompressed block
};

/// How the two ends name a conversation. Implicit from a conv: most suites know no session.
struct SessionName {
  SessionName(std::uint32_t c, std::uint64_t s = 0) : conv(c), session(s) {}  // NOLINT(google-explicit-constructor)
  std::uint32_t conv;
  std::uint64_t session;  // random, under a suite that knows sessions (docs/protocol.md section 11)
};

/// Largest KCP packet that fits the MTU beside the headers (docs/protocol.md section 2).
std::size_t kcp_packet_size(const LinkContext& context);

/// What a peer that moves takes along: a NAT that forgets only gives it another port.
enum class PathChange : std::uint8_t { kPort, kAddress };

/// Sans-I/O: fed with opened packets and with what the caller wants, drained by poll_event(), poll_transmit() and
/// next_timeout(). After each mutation, drain all three.
///
/// Views in events live until release_views(), or until the caller reuses the memory of the packets it gave,
/// whichever is first. So: receive, handle_packets(), drain events and pass their bytes on (or copy them), receive
/// again.
///
/// Bounds: about one send window of segments queued, two receive windows of segments held, unread stream data as
/// ReceiveBudget says, smux max_streams.
class Link {
 public:
  /// `context` outlives the link.
  Link(Role role, SessionName id, LinkContext& context, TimePoint now);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // --- the world did ---

  /// Opened packets of this conversation arrived. May write into them. Under a suite that knows sessions, those that
  /// are not fresh change nothing but a counter.
  void handle_packets(TimePoint now, std::span<const Packet> packets);
  /// Our own address has changed (client): tells the peer at once, with something that is news to it.
  void handle_new_address(TimePoint now);
  /// The peer's packets come from another address (server): until it answers there, little goes to it. See PathValidation.
  /// Once it has, what was known of the path before is forgotten, but where only the port is another (RFC 9000 section 9.4).
  void handle_peer_moved(TimePoint now, PathChange change);
  /// The address where the peer is now has answered.
  void handle_path_validated();
  /// The peer is back where it was, at an address that has answered.
  void handle_peer_returned() {
    path_change_ = PathChange::kPort;
    path_validation_.end();
  }
  /// Packets with so many bytes, headers of the suite not among them, came from the address where the peer is now.
  void credit_path(std::size_t packets, std::size_t bytes) {
    path_validation_.handle_received(bytes + packets * (context_.crypto_header + context_.crypto_trailer));
  }
  /// Asks a peer that may be gone for a sign of life, with a keepalive that also measures the round trip.
  void probe_liveness(TimePoint now) { smux_.send_keepalive(now); }
  /// Time passed: call when next_timeout() is due.
  void handle_timeout(TimePoint now);

  // --- the caller wants ---

  /// Opens a stream (client). None: the session cannot take another.
  std::optional<std::uint32_t> open_stream() { return smux_.open_stream(); }
  void set_tag(std::uint32_t sid, std::uint64_t tag) { smux_.set_tag(sid, tag); }
  /// Room for up to `limit` bytes of the stream, to be filled from the first piece on and then committed; empty when
  /// windows are used up. The pieces stay valid until commit_write(), which must follow before any other call.
  std::span<const MutableBytes> prepare_write(std::uint32_t sid, std::size_t limit);
  void commit_write(std::uint32_t sid, std::size_t bytes);
  /// Between the two: the segment in which those bytes begin, for passed_on().
  std::uint32_t write_position() const { return write_position_; }
  /// Half-close: we send no more on this stream.
  void finish(std::uint32_t sid) { smux_.finish(sid, kcp_.send_window().end()); }
  /// Resets the stream: it is gone, and the peer is told behind what was written.
  void reset_stream(std::uint32_t sid) { smux_.reset_stream(sid, kcp_.send_window().end()); }
  /// Nobody reads the stream any more: its data is dropped.
  void discard_input(std::uint32_t sid) { smux_.discard_input(sid); }
  /// Ends of streams that wait for the peer's reading (Smux::finish, abandon) leave at once.
  void release_lingering() { smux_.release_lingering(); }
  /// Bytes of the stream's data events that were passed on.
  void consume(std::uint32_t sid, std::size_t bytes) { smux_.consume(sid, bytes); }

  /// Takes over what may change while a session lives: the windows, nodelay, interval, resend and the rate limit. The
  /// rest of `settings`, the FEC shards above all, stays as it was at the beginning.
  void update_settings(const LinkSettings& settings, TimePoint now);

  // --- the caller must do ---

  std::optional<StreamEvent> poll_event(TimePoint now);
  /// True if poll_event() would read on: the stream data given out has been consumed far enough.
  bool event_ready() const { return kcp_.readable() && smux_.can_receive() && closed_reason().empty(); }
  void release_views();
  /// Appends a packet to `batch`, to go to `path`, that a live peer answers with an echo of `token`: see PathChallenge.
  /// REQUIRES: the batch has room.
  void append_challenge(TimePoint now, const Path& path, std::uint32_t token, TransmitBatch& batch);
  /// Appends packets to `batch`, to go to `path`. False when nothing more is due now; true when the batch is full.
  bool poll_transmit(TimePoint now, const Path& path, TransmitBatch& batch);
  std::optional<TimePoint> next_timeout() const;

  // --- getters ---

  /// The conversation is over: the peer broke the protocol, or nothing came for too long. Empty while it isn't.
  std::string_view closed_reason() const;
  /// True if that is because the peer is gone: it has restarted, or is silent. It has not broken the protocol.
  bool peer_gone() const {
    return error_.empty() && smux_.error().empty() && (kcp_.peer_restarted() || smux_.dead());
  }
  /// About an opened packet that was not handled yet: see Kcp.
  bool is_fresh(Bytes body) const;
  bool matches_challenge(Bytes body, std::uint32_t token) const;
  /// True while the peer owes an answer for longer than a live one would: new streams are better off elsewhere. Clients
  /// only; a server's peer that is gone is noticed by the keepalive.
  bool suspected_dead(TimePoint now) const;
  /// Since when the peer has owed an answer without a word; none: it owes nothing.
  std::optional<TimePoint> unanswered_since() const { return silence_.unanswered_since(); }
  /// Which setting the two ends do not share, if the peer's first bytes tell. REQUIRES: the conversation is over.
  Mismatch mismatch() const {
    return find_mismatch(first_, first_inflated_, context_.settings.compress, context_.settings.smux.version);
  }
  /// Since when the peer, which is there, takes no more: its own receive buffers are full.
  std::optional<TimePoint> peer_full_since() const { return peer_full_since_; }
  /// True when all that was written has been acknowledged, control frames included.
  bool drained() const { return kcp_.send_window().empty() && !smux_.has_control() && !smux_.lingering(); }
  /// False while the peer cannot have read the bytes that were written at this position: its acknowledgements are
  /// cumulative, and this one has not come. What it holds and has acknowledged early, it cannot read yet.
  bool passed_on(std::uint32_t position) const { return serial_less(position, kcp_.send_window().una()); }
  /// True if nothing has come for so long that the conversation is over with the next handle_timeout().
  bool out_of_time(TimePoint now) const { return smux_.can_receive() && smux_.out_of_time(now); }
  /// True if the peer was ever heard.
  bool heard() const { return kcp_.counters().in_segments > 0; }
  /// True when the windows have room for stream data worth sending.
  bool writable() const;
  std::uint32_t conv() const { return kcp_.conv(); }
  /// None unless the suite knows sessions.
  const std::optional<AntiReplay>& guard() const { return guard_; }
  const Kcp& kcp() const { return kcp_; }
  const Smux& smux() const { return smux_; }
  const FecDecoder& fec() const { return decoder_; }
  std::uint64_t parity_sent() const { return parity_sent_; }
  /// Packets of any kind that left, and those that came.
  std::uint64_t packets_sent() const { return packets_sent_; }
  std::uint64_t packets_received() const { return packets_received_; }
  /// False while the address where the peer is now has not answered.
  bool path_validated() const { return !path_validation_.pending(); }
  /// What a packet may have on its path; none unless KcpSettings::find_mtu.
  const std::optional<PathMtu>& path_mtu() const { return path_mtu_; }
  /// Packets that arrived beside the conversation; dropped.
  std::uint64_t out_of_band() const { return out_of_band_; }

 private:
  struct QppPair {
    QppStream sending;
    QppStream receiving;
  };

  std::span<const Packet> fresh_packets(std::span<const Packet> packets);
  void handle_arrival(TimePoint now, std::uint64_t stream_bytes_before);
  void ping_if_unanswered(TimePoint now);
  void handle_mtu_answers(TimePoint now);
  void fit_to_path();
  void watch_oversize(TimePoint now);
  void probe_path_mtu(TimePoint now, const Path& path, TransmitBatch& batch);
  std::size_t packet_overhead() const;
  void handle_packet(TimePoint now, MutableBytes body);
  void handle_fec_data(TimePoint now, MutableBytes body);
  void handle_recovered(TimePoint now);
  void pump_input(TimePoint now);
  void inflate(TimePoint now, MutableBytes piece);
  MutableBytes keep_block(Bytes block, MutableBytes piece);
  void append_stream(Bytes bytes);
  void append_frames(Bytes bytes);
  void flush_control();
  void plan_group();
  void append_parity(TimePoint now, TransmitBatch& batch);
  void push(TimePoint now, TransmitBatch& batch, std::size_t body_size);
  bool may_send(TimePoint now);
  void charge(std::size_t bytes);
  std::size_t echo_request_size() const;
  void validate_path(TimePoint now, TransmitBatch& batch);
  QppPair& qpp_pair(std::uint32_t sid);

  LinkContext& context_;
  const Role role_;
  const std::size_t frame_size_;  // the largest smux frame sent; the context's settings may be newer than the link
  const bool sends_fec_;
  std::optional<AntiReplay> guard_;
  Kcp kcp_;
  Smux smux_;
  FecDecoder decoder_;
  ErasureCodeCache::Use code_;  // of encoder_
  std::optional<FecEncoder> encoder_;
  ParityPolicy parity_policy_;
  std::optional<SnappyFramer> framer_;
  std::optional<SnappyDeframer> deframer_;
  ProtocolSniffer first_;           // of the peer's stream
  ProtocolSniffer first_inflated_;  // the same, decompressed
  std::unordered_map<std::uint32_t, QppPair> qpp_;

  // prepare_write() .. commit_write()
  std::vector<MutableBytes> pieces_;    // raw room, frame headers included
  std::vector<MutableBytes> payload_;   // the same without the headers
  std::size_t prepared_ = 0;            // payload bytes laid out
  std::uint32_t write_position_ = 0;    // the segment that they begin in

  std::vector<PoolBuffer> held_;        // what views in events point into
  MutableBytes packed_;                 // unused rest of the block in held_ that small blocks are packed into
  std::optional<RateLimiter> limiter_;
  std::optional<TimePoint> held_until_;  // the limiter holds packets back
  LivenessMonitor silence_;
  PathValidation path_validation_;
  PathChange path_change_ = PathChange::kPort;  // since the last address that has answered
  std::optional<PathMtu> path_mtu_;
  TimePoint heard_at_{};            // with path_mtu_
  std::uint32_t oversize_una_ = 0;  // una since oversize_since_, while segments are out that are too large for the path
  TimePoint oversize_since_{};
  std::optional<TimePoint> peer_full_since_;
  std::optional<TimePoint> idle_probe_at_;   // the peer sent data, and it may be gone since
  std::string_view error_;
  std::uint64_t parity_sent_ = 0;
  std::uint64_t packets_sent_ = 0;
  std::uint64_t packets_received_ = 0;
  std::uint64_t out_of_band_ = 0;
};

}  // namespace kcptun
