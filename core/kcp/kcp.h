// One KCP session in stream mode: a reliable byte stream over packets that may be lost
// (docs/develop/protocol.md section 5).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/bytes.h"
#include "core/base/packet.h"
#include "core/base/serial.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/ack_scheduler.h"
#include "core/kcp/freshness.h"
#include "core/kcp/mtu_probe_verifier.h"
#include "core/kcp/packet_writer.h"
#include "core/kcp/path_state.h"
#include "core/kcp/peer_restart_detector.h"
#include "core/kcp/receive_window.h"
#include "core/kcp/receive_window_tuner.h"
#include "core/kcp/redundancy_policy.h"
#include "core/kcp/segment.h"
#include "core/kcp/send_window.h"
#include "core/kcp/window_prober.h"

namespace kcptun {

/// Takes packets and bytes, and returns packets and bytes on request; nothing is sent from inside a handler.
/// Dispatches received segments to its parts and assembles packets from what the parts have to send; each
/// rule is in one of the parts. Acknowledgements leave with the first poll_packet() after a batch, whatever
/// `interval` says.
class Kcp {
 public:
  /// kRecovered: the packet was reconstructed by FEC. It is late and shows neither the peer's window nor the
  /// RTT.
  enum class Origin : std::uint8_t { kArrived, kRecovered };
  struct Counters {
    std::uint64_t stream_bytes_in = 0;   // given out by read()
    std::uint64_t stream_bytes_out = 0;  // taken by commit()
    std::uint64_t in_segments = 0;
    std::uint64_t out_segments = 0;
    std::uint64_t retransmitted = 0;
    std::uint64_t repeated = 0;  // duplicates: PUSH segments that had arrived before
    std::uint64_t out_of_window = 0;
    // Packets that are cut short, or have an unknown command, a foreign conv or an impossible una.
    std::uint64_t errors = 0;
  };

  /// `packet_size`: the largest KCP packet (kcp_mtu of section 2). `pool` outlives the session.
  Kcp(std::uint32_t conv, const KcpSettings& settings, std::size_t packet_size, BufferPool& pool);

  // --- events ---

  /// A packet arrived. `packet` stays valid until end_batch().
  void handle_packet(TimePoint now, Bytes packet, Origin origin);
  /// The batch of packets is over: copies unread data, detects losses.
  void end_batch(TimePoint now);
  /// Time passed.
  void handle_timeout(TimePoint now);

  // --- the stream ---

  /// Segments that may be queued or in flight together, as the windows are now: at least 1.
  std::uint32_t send_quota() const;
  /// Segments that may be queued and not sent: about what may leave at once, or soon
  /// (PathState::backlog_limit).
  std::uint32_t backlog_limit() const;
  /// Bytes that may be appended now. The queue has backlog_limit() segments at most.
  std::size_t send_room() const;
  /// See SendBuffer. Control data may be appended beyond send_room(); the caller bounds it.
  void prepare(std::size_t bytes, std::vector<MutableBytes>& pieces) { send_.prepare(bytes, pieces); }
  void commit(std::size_t bytes);
  /// The next bytes in order.
  std::optional<ReceiveWindow::Piece> read();
  bool readable() const { return receive_.readable(); }
  /// True if acknowledgements wait to leave.
  bool has_acks() const { return acks_.has_acks(); }
  /// The newest time stamp of ours that the peer has echoed; nothing before its first acknowledgement.
  std::optional<std::uint32_t> newest_echo() const { return echo_clock_.newest(); }
  /// Sends a ping with the next packet: an echo request, which any live peer acknowledges with its time
  /// stamp, and a WASK, which a peer that has restarted answers with una 0.
  void ping() { ping_due_ = true; }
  /// True while an acknowledgement, or the answer to a ping or a WASK, is outstanding.
  bool awaits_peer() const { return ping_outstanding_ || send_.una() != send_.next(); }
  /// Segments that only a live peer can have sent just now: those with data or an acknowledgement for the
  /// first time, or with a time stamp, the peer's or an echo of ours, that is later than all before. Others
  /// may be reordered, duplicated or replayed.
  std::uint64_t fresh_segments() const { return fresh_segments_; }

  // --- migration ---

  /// True if `packet`, which was not handled yet, cannot be an old one: it has data beyond all that has
  /// arrived, or acknowledges something for the first time.
  bool is_fresh(Bytes packet) const;
  /// True if `packet` acknowledges a transmission with the time stamp `ts`.
  bool matches_challenge(Bytes packet, std::uint32_t ts) const;

  // --- packet size ---

  /// The largest packet from now on. Segments that were cut larger before still leave in larger packets.
  /// REQUIRES: nothing is prepared.
  void set_packet_size(std::size_t bytes);
  /// True while such segments are outstanding.
  bool has_oversize() const { return oversize_ && serial_less(send_.una(), oversize_->until); }
  /// Writes a packet of `size` bytes that changes nothing: a padded copy of a segment that the peer has, with
  /// the time stamp `ts`, and a WASK (see MtuProbeVerifier). REQUIRES: size >= kProbeHeaders.
  void write_mtu_probe(std::uint32_t ts, std::size_t size, std::uint8_t* out);
  static constexpr std::size_t kProbeHeaders = 2 * kSegmentHeader;
  /// True once after the last such packet was answered.
  bool take_probe_answer() { return mtu_probe_verifier_.take_answer(); }

  /// Writes a packet that any peer acknowledges with `ts` and that changes nothing: an empty copy of a
  /// segment that the peer has. REQUIRES: kSegmentHeader bytes of room. Returns the packet's length.
  std::size_t write_echo_request(std::uint32_t ts, std::uint8_t* out);

  // --- transmission ---

  /// Packets that are polled from now on are in groups of `data` with `parity` more packets.
  void set_group(std::uint32_t data, std::uint32_t parity) { send_.set_group(data, parity); }
  /// So many parity packets leave beside the data; they are charged to the redundancy budget.
  void charge_parity(std::uint32_t packets) { redundancy_.charge(packets * packet_size_); }
  /// Writes the next packet due at `now` into `out`, which has room for the largest packet size that was ever
  /// set; returns its length, 0 when none is that has `limit` bytes at most. REQUIRES: limit >= 2 *
  /// kSegmentHeader.
  std::size_t poll_packet(TimePoint now, std::uint8_t* out, std::size_t limit = kMaxDatagram);
  std::optional<TimePoint> next_timeout() const;

  // --- getters ---

  std::uint32_t conv() const { return conv_; }
  std::size_t segment_size() const { return packet_size_ - kSegmentHeader; }
  const RttEstimator& rtt() const { return path_.rtt(); }
  const SendWindow& send_window() const { return send_; }
  PathEstimate path_estimate() const { return path_.estimate(); }
  /// The share of packets that the path loses.
  double loss() const { return path_.loss(); }
  /// True while the application, or a window, keeps the sender from filling the path.
  bool path_has_room() const { return send_.rate().app_limited() || window_limited(); }
  /// Packets of parity that the redundancy budget permits.
  std::uint32_t parity_budget() const { return redundancy_.parity_packets(redundancy_path()); }
  /// True while what the session sends leaves in several copies.
  bool copies_in_use() const { return redundancy_.copies_in_use(); }
  /// True while a window does, and for some round trips afterwards.
  bool window_limited() const { return path_.window_limited(send_.rate().delivered()); }
  const ReceiveWindow& receive_window() const { return receive_; }
  std::uint32_t peer_window() const { return prober_.window(); }
  const Counters& counters() const { return counters_; }
  /// See RedundancyPolicy::set_streams().
  void set_streams(std::size_t streams) { redundancy_.set_streams(streams); }
  /// True once the peer has proved that it has restarted, and so has forgotten the session.
  bool peer_restarted() const { return restart_.proved(); }
  /// Packets take another path from now on, of which nothing is known (RFC 9000 section 9.4).
  void handle_new_path();
  /// Frees idle memory.
  void trim();
  /// Applies both windows, nodelay, interval and resend. A session keeps its MTU, its congestion controller
  /// and its loss detector.
  void update_settings(const KcpSettings& settings);

 private:
  /// Segments before `until` may be as large as packets of `packet_size` bytes can carry.
  struct Oversize {
    std::uint32_t until = 0;
    std::size_t packet_size = 0;
  };

  void handle_segment(TimePoint now, const Segment& segment, Origin origin);
  bool is_una_regression(TimePoint now, const Segment& segment, Origin origin);
  bool handle_push(TimePoint now, const Segment& segment, Origin origin);
  bool handle_peer_state(TimePoint now, const Segment& segment, Origin origin);
  bool handle_ack(TimePoint now, const Segment& segment, Origin origin);

  std::uint32_t send_limit() const;
  bool may_send_data(TimePoint now);
  void handle_idle_path(TimePoint now, std::uint32_t limit);
  RedundancyPolicy::Path redundancy_path() const;

  Segment blank_segment(KcpCommand command) const;
  void write(PacketWriter& writer, const Segment& segment);
  void write_ping(TimePoint now, PacketWriter& writer);
  void write_window_probe(TimePoint now, PacketWriter& writer);
  void write_window_update(PacketWriter& writer);
  void write_restart_challenge(TimePoint now, PacketWriter& writer);
  void write_control(TimePoint now, PacketWriter& writer);
  void write_transmission(TimePoint now, PacketWriter& writer, const SendWindow::Transmission& transmission);
  std::optional<SendWindow::Transmission> next_transmission(TimePoint now, std::uint32_t limit,
                                                            std::size_t room);
  void handle_transmission(TimePoint now, const SendWindow::Transmission& transmission);
  void write_data(TimePoint now, PacketWriter& writer);
  void write_copies(TimePoint now, PacketWriter& writer, std::uint8_t copies);
  void write_due_copies(TimePoint now, PacketWriter& writer, std::uint8_t copies);

  const std::uint32_t conv_;
  std::size_t packet_size_;
  std::optional<Oversize> oversize_;
  std::uint32_t send_window_limit_;  // segments
  SendWindow send_;
  ReceiveWindow receive_;
  ReceiveWindowTuner receive_tuner_;
  PathState path_;
  RedundancyPolicy redundancy_;
  std::optional<TimePoint> paced_until_;  // the pacer holds data back
  std::optional<TimePoint> copies_at_;    // a packet is due for the copies of segments
  bool probe_due_ = false;                // one packet may leave whatever is in flight

  AckScheduler acks_;
  WindowProber prober_;
  TimestampClock peer_clock_;  // of the peer's PUSH
  TimestampClock echo_clock_;  // of ours, in its acknowledgements
  std::uint64_t fresh_segments_ = 0;
  bool ping_due_ = false;
  bool ping_outstanding_ = false;  // a ping or a WASK left, and nothing fresh has arrived since
  MtuProbeVerifier mtu_probe_verifier_;
  PeerRestartDetector restart_;
  Counters counters_;
};

}  // namespace kcptun
