// One end of a session: smux over KCP over the packets of one path.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/packet.h"
#include "core/base/path.h"
#include "core/base/serial.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/kcp.h"
#include "core/link/anti_replay.h"
#include "core/link/datagram_channel.h"
#include "core/link/kcp_source.h"
#include "core/link/link_context.h"
#include "core/link/liveness_monitor.h"
#include "core/link/mtu_prober.h"
#include "core/link/noise_session.h"
#include "core/link/packet_decoder.h"
#include "core/link/packet_sender.h"
#include "core/link/path_validator.h"
#include "core/link/stream_codec.h"
#include "core/smux/smux.h"

namespace kcptun {

/// How the two ends name a session. Implicit from a conv, because most suites have no session header.
struct SessionName {
  SessionName(std::uint32_t c, std::uint64_t s = 0)
      : conv(c), session(s) {}  // NOLINT(google-explicit-constructor)
  std::uint32_t conv;
  std::uint64_t session;  // random, under a suite with a session header (docs/develop/protocol.md section 11)
};

/// A datagram that the peer sent on a flow: see Link::poll_datagram().
struct DatagramEvent {
  std::uint32_t sid = 0;
  std::uint64_t tag = 0;  // the stream's, of set_tag()
  MutableBytes bytes;     // the address, then the payload
};

/// Sans-I/O: fed with opened packets and with what the caller wants, drained by poll_event(),
/// poll_datagram(), poll_transmit() and next_timeout(). After each mutation, drain them all.
///
/// It composes: PacketDecoder -> Kcp -> StreamCodec -> Smux inwards, and the same backwards to PacketSender
/// outwards. What it decides itself is when to ask the peer for an answer, and when the session is over.
///
/// Views in events live until release_views(), or until the caller reuses the memory of the packets it gave,
/// whichever is first. So: receive, handle_packets(), drain events and pass their bytes on (or copy them),
/// receive again.
///
/// Bounds: about one send window of segments queued, two receive windows of segments held, unread stream data
/// as ReceiveBudget says, smux max_streams.
class Link {
 public:
  using Fresh = PacketDecoder::Fresh;

  /// `context` outlives the link. `noise`: of a server's session that a hello has opened (HelloGate); a
  /// client begins its own handshake.
  Link(Role role, SessionName id, LinkContext& context, TimePoint now,
       std::unique_ptr<NoiseSession> noise = nullptr);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // --- the world did ---

  /// Opened packets of this session arrived. May write into them. Under a suite with a session header,
  /// packets that are not fresh change nothing but a counter.
  void handle_packets(TimePoint now, std::span<const Packet> packets) {
    handle_fresh(now, take_fresh(now, packets));
  }
  /// The same in two steps. In between, the caller may follow the peer to another address.
  Fresh take_fresh(TimePoint now, std::span<const Packet> packets) {
    return decoder_.take_fresh(now, packets);
  }
  void handle_fresh(TimePoint now, const Fresh& fresh);
  /// Our own address has changed (client): sends the peer something fresh at once, from which it learns the
  /// new one.
  void handle_new_address(TimePoint now);
  /// The peer's packets come from another address (server). Little is sent there until it has answered; see
  /// PathValidation.
  void handle_peer_moved(TimePoint now, PathChange change) { path_validator_.handle_peer_moved(now, change); }
  /// The address where the peer is now has answered.
  void handle_path_validated() { path_validator_.handle_validated(); }
  /// The peer is back at the address before, which was validated.
  void handle_peer_returned() { path_validator_.handle_peer_returned(); }
  /// Packets with so many bytes, without the headers of the suite, came from the address where the peer is
  /// now.
  void credit_path(std::size_t packets, std::size_t bytes) {
    path_validator_.handle_received(packets, bytes);
  }
  /// Sends a keepalive, which a live peer acknowledges, and which measures the round trip.
  void probe_liveness(TimePoint now) { smux_.send_keepalive(now); }
  /// Time passed: call when next_timeout() is due.
  void handle_timeout(TimePoint now);

  // --- the caller wants ---

  /// Opens a stream; a server: see Smux::open_stream(). None: the session cannot take another.
  std::optional<std::uint32_t> open_stream(StreamKind kind = StreamKind::kPlain) {
    return smux_.open_stream(kind);
  }
  /// Marks the session without a stream, so that the server announces its capabilities (client). Once.
  void announce() { smux_.announce(); }
  void set_tag(std::uint32_t sid, std::uint64_t tag) { smux_.set_tag(sid, tag); }
  /// Room for up to `limit` bytes of the stream, to be filled from the first piece on and then committed;
  /// empty when windows are used up. The pieces stay valid until commit_write(), which must follow before any
  /// other call.
  std::span<const MutableBytes> prepare_write(std::uint32_t sid, std::size_t limit);
  void commit_write(std::uint32_t sid, std::size_t bytes);
  /// Between the two: the segment in which those bytes begin, for passed_on().
  std::uint32_t write_position() const { return write_position_; }
  /// Half-close: we send no more on this stream.
  void finish(std::uint32_t sid) { smux_.finish(sid, kcp_.send_window().end()); }
  /// Resets the stream: it is gone, and the peer learns it behind what was written.
  void reset_stream(std::uint32_t sid) { smux_.reset_stream(sid, kcp_.send_window().end()); }
  /// Nobody reads the stream any more: its data is dropped.
  void discard_input(std::uint32_t sid) { smux_.discard_input(sid); }
  /// Ends of streams that wait for the peer's reading (Smux::finish, reset_stream) leave at once.
  void release_lingering() { smux_.release_lingering(); }
  /// Bytes of the stream's data events that were passed on.
  void consume(std::uint32_t sid, std::size_t bytes) { smux_.consume(sid, bytes); }

  /// True once the peer accepts datagram packets.
  bool can_send_datagrams() const { return (smux_.peer_capabilities() & kDatagramPackets) != 0; }
  /// Sends a datagram, which may be lost, on the flow of the stream `sid`. Its bytes are those of `address`
  /// and `payload`, which are copied. False if it was dropped: see DatagramQueue.
  /// REQUIRES: can_send_datagrams().
  bool send_datagram(TimePoint now, std::uint32_t sid, Bytes address, Bytes payload);

  /// Takes over what may change while a session lives: the windows, nodelay, interval, resend and the rate
  /// limit. The rest of `settings`, above all the FEC shards, stays as it was at the beginning.
  void update_settings(const LinkSettings& settings, TimePoint now);
  /// From now on the session also keeps to its part of `rate`, which other sessions share; null: to its own
  /// rate limit only.
  void share_rate(std::shared_ptr<SharedRate> rate);

  // --- the caller must do ---

  std::optional<StreamEvent> poll_event(TimePoint now);
  /// The next datagram of an open stream, after all events. The view lives as long as those of events.
  std::optional<DatagramEvent> poll_datagram();
  /// True if poll_event() would read on: the stream data given out has been consumed far enough.
  bool event_ready() const { return kcp_.readable() && can_read(); }
  void release_views();
  /// Appends a packet to `batch`, to go to `path`, that a live peer answers with an echo of `token`: see
  /// PathChallenge. REQUIRES: the batch has room.
  void append_challenge(TimePoint now, const Path& path, std::uint32_t token, TransmitBatch& batch);
  /// Appends packets to `batch`, to go to `path`. False when nothing more is due now; true when the batch is
  /// full.
  bool poll_transmit(TimePoint now, const Path& path, TransmitBatch& batch);
  std::optional<TimePoint> next_timeout() const;

  // --- getters ---

  /// Why the session is over: the peer broke the protocol, or nothing came for too long. Empty while it is
  /// not.
  std::string_view closed_reason() const;
  /// True if that is because the peer is gone: it has restarted, or is silent. It has not broken the
  /// protocol.
  bool peer_gone() const { return protocol_error().empty() && (peer_restarted() || smux_.dead()); }
  /// About an opened packet that was not handled yet: see Kcp.
  bool is_fresh(Bytes body) const;
  bool matches_challenge(Bytes body, std::uint32_t token) const;
  /// True while the peer owes an answer for longer than a live one would: new streams should use another
  /// session. Clients only; a server notices by the keepalive.
  bool suspected_dead(TimePoint now) const;
  /// Since when the peer has owed an answer and been silent; none: it owes nothing.
  std::optional<TimePoint> unanswered_since() const { return liveness_.unanswered_since(); }
  /// Which setting the two ends do not share, if the peer's first bytes show it. REQUIRES: the session is
  /// over.
  Mismatch mismatch() const { return codec_.mismatch(); }
  /// Since when the peer, which is alive, takes no more: its own receive buffers are full.
  std::optional<TimePoint> peer_full_since() const { return peer_full_since_; }
  /// True when all that was written has been acknowledged, control frames included.
  bool drained() const { return kcp_.send_window().empty() && !smux_.has_control() && !smux_.lingering(); }
  /// False while the peer cannot have read the bytes that were written at this position: its acknowledgements
  /// are cumulative, and this one has not come. What it holds out of order, it cannot read yet.
  bool passed_on(std::uint32_t position) const { return serial_less(position, kcp_.send_window().una()); }
  /// True if nothing has come for so long that the session is over with the next handle_timeout().
  bool out_of_time(TimePoint now) const { return smux_.can_receive() && smux_.out_of_time(now); }
  /// True if the peer was ever heard.
  bool heard() const { return kcp_.counters().in_segments > 0; }
  /// True when the windows have room for stream data worth sending.
  bool writable() const;
  std::uint32_t conv() const { return kcp_.conv(); }
  /// None unless the suite has a session header.
  const std::optional<AntiReplay>& anti_replay() const { return anti_replay_; }
  /// Null unless the session has a handshake.
  const NoiseSession* noise() const { return noise_.get(); }
  const Kcp& kcp() const { return kcp_; }
  const Smux& smux() const { return smux_; }
  const FecDecoder& fec() const { return decoder_.fec(); }
  /// Null before the first datagram.
  const DatagramChannel* datagrams() const { return datagrams_.get(); }
  std::uint64_t parity_sent() const { return sender_.parity_sent(); }
  /// Packets of any kind that left, and those that came.
  std::uint64_t packets_sent() const { return sender_.packets_sent(); }
  std::uint64_t packets_received() const { return decoder_.packets_received(); }
  /// False while the address where the peer is now has not answered.
  bool path_validated() const { return path_validator_.validated(); }
  /// How large packets may be on the path; none unless KcpSettings::find_mtu.
  const std::optional<PathMtu>& path_mtu() const { return mtu_prober_.path_mtu(); }
  /// Packets of type kOutOfBand that arrived; dropped.
  std::uint64_t out_of_band() const { return decoder_.out_of_band(); }

 private:
  struct ArrivalCounters;

  ArrivalCounters count_arrivals() const;
  void note_arrivals(TimePoint now, const ArrivalCounters& before);
  void note_peer_window(TimePoint now);
  void fit_stream_buffers();
  void read_stream(TimePoint now);
  // link_datagrams.cc
  DatagramChannel& datagram_channel();
  std::uint64_t fresh_datagram_packets() const {
    return datagrams_ ? datagrams_->incoming.counters().packets : 0;
  }
  void handle_datagram_packets(TimePoint now);
  bool transmit_datagrams(TimePoint now, TransmitBatch& batch);
  std::optional<TimePoint> next_datagram_timeout() const;
  void handle_datagram_timeout(TimePoint now);
  bool can_read() const { return smux_.can_receive() && closed_reason().empty(); }
  std::string_view protocol_error() const;
  bool peer_restarted() const { return kcp_.peer_restarted() || (noise_ && noise_->forgotten()); }
  void note_handshake();
  void send_noise_probe(TimePoint now, TransmitBatch& batch);
  void flush_control();
  void ping_if_unanswered(TimePoint now);

  // A peer that sent data for open streams, or was sent a datagram, and is then silent for so long is sent a
  // keepalive, once. A client that only receives would otherwise learn late that its peer has restarted, or
  // that its own address has changed.
  static constexpr Duration kIdleProbeAfter = seconds(1);

  const Role role_;
  LinkContext& context_;
  std::optional<AntiReplay> anti_replay_;
  std::unique_ptr<NoiseSession> noise_;
  const std::size_t packet_size_;  // of KCP packets beside the header of a data packet
  Kcp kcp_;
  Smux smux_;
  StreamCodec codec_;
  PacketDecoder decoder_;
  PathValidator path_validator_;
  MtuProber mtu_prober_;
  KcpSource kcp_source_;
  PacketSender sender_;
  const bool accepts_datagrams_;
  std::unique_ptr<DatagramChannel> datagrams_;
  std::size_t prepared_ = 0;          // payload bytes laid out, from prepare_write() to commit_write()
  std::uint32_t write_position_ = 0;  // the segment that they begin in
  LivenessMonitor liveness_;
  std::optional<TimePoint> peer_full_since_;
  std::optional<TimePoint> idle_probe_at_;  // the peer sent data, and it may be gone since
  bool shortened_ = false;                  // KCP's packets leave room for a handshake part
  bool noise_probe_due_ = false;
};

}  // namespace kcptun
