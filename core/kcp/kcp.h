// One KCP conversation in stream mode: a reliable byte stream over packets that may be lost (docs/develop/protocol.md
// section 5).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/bytes.h"
#include "core/base/packet.h"
#include "core/base/serial.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/ack_queue.h"
#include "core/kcp/congestion.h"
#include "core/kcp/congestion_table.h"
#include "core/kcp/freshness.h"
#include "core/kcp/loss_estimator.h"
#include "core/kcp/pacer.h"
#include "core/kcp/packet_writer.h"
#include "core/kcp/receive_window.h"
#include "core/kcp/peer_restart_detector.h"
#include "core/kcp/rtt_estimator.h"
#include "core/kcp/segment.h"
#include "core/kcp/send_window.h"
#include "core/kcp/mtu_probe_verifier.h"
#include "core/kcp/idle_capacity.h"

namespace kcptun {

/// Fed with packets and bytes, drained of packets and bytes; nothing is sent from inside a handler.
/// Acknowledgements leave with the first poll_packet() after a batch, whatever `interval` says.
class Kcp {
 public:
  /// How a packet came: recovered by FEC, it is late, and tells nothing about the peer's window or the RTT.
  enum class Origin : std::uint8_t { kArrived, kRecovered };
  struct Counters {
    std::uint64_t stream_bytes_in = 0;   // given out by read()
    std::uint64_t stream_bytes_out = 0;  // taken by commit()
    std::uint64_t in_segments = 0;
    std::uint64_t out_segments = 0;
    std::uint64_t retransmitted = 0;
    std::uint64_t repeated = 0;      // PUSH that had arrived before
    std::uint64_t out_of_window = 0;
    std::uint64_t errors = 0;        // packets cut short, of unknown command, foreign conv, impossible una
  };

  /// `packet_size`: the largest KCP packet (kcp_mtu of section 2). `pool` outlives the conversation.
  Kcp(std::uint32_t conv, const KcpSettings& settings, std::size_t packet_size, BufferPool& pool);

  // --- the world did ---

  /// A packet arrived. `packet` stays valid until end_batch().
  void handle_packet(TimePoint now, Bytes packet, Origin origin);
  /// The batch of packets is over: keeps what it must, finds what is lost.
  void end_batch(TimePoint now);
  /// Time passed.
  void handle_timeout(TimePoint now);

  // --- the stream ---

  /// Segments that may be queued or under way together, as the windows stand: at least 1.
  std::uint32_t send_quota() const;
  /// Bytes that may be appended now: what is queued is about what may leave at once, or within kBacklogTime.
  std::size_t send_room() const;
  /// See SendWindow. Control data may be appended beyond send_room(); the caller bounds it.
  void prepare(std::size_t bytes, std::vector<MutableBytes>& pieces) { send_.prepare(bytes, pieces); }
  void commit(std::size_t bytes);
  /// The next bytes in order.
  std::optional<ReceiveWindow::Piece> read();
  bool readable() const { return receive_.readable(); }
  /// True if acknowledgements wait to leave.
  bool has_acks() const { return !acks_.empty(); }
  /// The newest time stamp of ours that the peer has echoed; none: it has acknowledged nothing.
  std::optional<std::uint32_t> newest_echo() const { return echo_clock_.newest(); }
  /// Sends a ping with the next packet that leaves: an echo request, which any live peer acknowledges with its time stamp,
  /// and a WASK, to which a peer that has restarted tells an una of 0.
  void ping() { ping_due_ = true; }
  /// True while the peer owes an acknowledgement, or an answer to a ping or a WASK.
  bool awaits_peer() const { return ping_outstanding_ || send_.una() != send_.next(); }
  /// Segments that only a live peer can have sent just now: those that bring data or an acknowledgement for the first
  /// time, or a time stamp, the peer's or an echo of ours, that is later than all before. Others may be reordered,
  /// duplicated or recorded.
  std::uint64_t fresh_segments() const { return fresh_segments_; }

  // --- where is the peer? ---

  /// True if `packet`, which was not handled yet, could not be an old one: it has data beyond all that has arrived, or
  /// acknowledges something for the first time.
  bool is_fresh(Bytes packet) const;
  /// True if `packet` acknowledges a copy with the time stamp `ts`.
  bool matches_challenge(Bytes packet, std::uint32_t ts) const;

  // --- how large may packets be? ---

  /// Packets are this large at most from now on, but for those that carry a segment that was cut larger before.
  /// REQUIRES: nothing is prepared.
  void set_packet_size(std::size_t bytes);
  /// True while such segments are not acknowledged.
  bool has_oversize() const { return oversize_ && serial_less(send_.una(), oversize_->until); }
  /// Writes a packet of `size` bytes that carries nothing: a padded copy of a segment that the peer has, with the time
  /// stamp `ts`, and a WASK (see MtuProbeVerifier). REQUIRES: size >= kProbeHeaders.
  void write_mtu_probe(std::uint32_t ts, std::size_t size, std::uint8_t* out);
  static constexpr std::size_t kProbeHeaders = 2 * kSegmentHeader;
  /// True, once, if the last such packet has been answered.
  bool take_probe_answer() { return mtu_probe_verifier_.take_answer(); }

  /// Writes a packet that any peer answers with an echo of `ts`, and that changes nothing: an empty copy of a segment
  /// that it has. REQUIRES: kSegmentHeader bytes of room. Returns the packet's length.
  std::size_t write_echo_request(std::uint32_t ts, std::uint8_t* out);

  // --- the caller must do ---

  /// Packets that are polled from now on are in groups of `data` with `parity` more packets.
  void set_group(std::uint32_t data, std::uint32_t parity) { send_.set_group(data, parity); }
  /// So many packets of parity will leave beside the data: they take idle capacity, as far as there is any.
  void charge_parity(std::uint32_t packets) { idle_capacity_.spend(packets * packet_size_); }
  /// Writes the next packet due at `now` into `out`, which has room for the largest packet size that was ever set;
  /// returns its length, 0 when none is that has `limit` bytes at most. REQUIRES: limit >= 2 * kSegmentHeader.
  std::size_t poll_packet(TimePoint now, std::uint8_t* out, std::size_t limit = kMaxDatagram);
  std::optional<TimePoint> next_timeout() const;

  // --- getters ---

  std::uint32_t conv() const { return conv_; }
  std::size_t segment_size() const { return packet_size_ - kSegmentHeader; }
  const RttEstimator& rtt() const { return rtt_; }
  const SendWindow& send_window() const { return send_; }
  PathEstimate path_estimate() const { return congestion_->estimate(); }
  /// The share of packets that the path loses, as far as is known.
  double loss() const { return loss_.share(); }
  /// True while the application, or a window, keeps the sender from filling the path.
  bool path_has_room() const { return send_.rate().app_limited() || window_limited(); }
  /// Packets that may leave beside the data because the path would have carried them while the sender was idle.
  std::uint32_t idle_capacity_packets() const;
  /// True while a window does, and for some round trips afterwards.
  bool window_limited() const { return send_.rate().delivered() < window_limited_until_; }
  const ReceiveWindow& receive_window() const { return receive_; }
  std::uint32_t peer_window() const { return peer_window_.segments(); }
  const Counters& counters() const { return counters_; }
  /// True once the peer has proved to be in another life: what it acknowledged is unacknowledged again.
  bool peer_restarted() const { return restart_.proved(); }
  /// The packets take another path from now on, of which nothing is known (RFC 9000 section 9.4).
  void handle_new_path();
  /// Gives idle memory back.
  void trim();
  /// Takes over both windows, nodelay, interval and resend. A conversation keeps its mtu and its congestion controller.
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
  void write_restart_challenge(TimePoint now, PacketWriter& writer);
  bool ack_in_flight(TimePoint now, std::uint32_t sn) const;
  bool handle_peer_state(TimePoint now, const Segment& segment, Origin origin);
  bool handle_ack(TimePoint now, const Segment& segment, Origin origin);
  void handle_peer_window(const Segment& segment);
  Segment blank_segment(KcpCommand command) const;
  void write_ping(TimePoint now, PacketWriter& writer);
  void write_window_commands(TimePoint now, PacketWriter& writer);
  void write_transmission(TimePoint now, PacketWriter& writer, const SendWindow::Transmission& copy);
  void write_data(TimePoint now, PacketWriter& writer);
  void end_acked_batch(TimePoint now);
  void follow_arrivals(TimePoint now);
  bool may_send_data(TimePoint now);
  std::optional<SendWindow::Transmission> next_transmission(TimePoint now, std::uint32_t limit, std::size_t room);
  bool duplicate_retransmissions_worthwhile() const;
  std::size_t redundant_room() const;
  void write_redundant(TimePoint now, PacketWriter& writer, std::uint64_t before);
  void note_idle_path(TimePoint now, std::uint32_t limit);
  std::uint32_t backlog_limit() const;
  std::uint32_t send_limit() const;
  bool window_worth_advertising() const;

  const std::uint32_t conv_;
  std::size_t packet_size_;
  std::optional<Oversize> oversize_;
  std::uint32_t send_window_limit_;
  std::uint32_t max_receive_window_;  // up to which it follows arrivals; below the window: it stays
  const bool detects_by_time_;  // nc 1: RACK, probes and copies for safety; nc 0: as KCP does, `resend` and time-outs
  SendWindow send_;
  ReceiveWindow receive_;
  KcpTuning tuning_;  // of rtt_ and congestion_
  RttEstimator rtt_;
  std::unique_ptr<CongestionController> congestion_;
  Pacer pacer_;
  std::optional<TimePoint> paced_until_;  // the pacer holds data back
  bool probe_due_ = false;                // one packet may leave whatever is under way
  LossEstimator loss_;
  SendWindow::Counters counted_;  // what the last batch saw
  std::uint64_t window_limited_until_ = 0;  // delivered bytes: until then the windows were the limit
  IdleCapacity idle_capacity_;
  std::size_t redundancy_credit_ = 0;  // bytes that may be repeated
  LostEvent lost_;    // found since the last batch
  AckedEvent acked_;  // of the batch that is being handled

  AdvertisedWindow peer_window_{32};  // as KCP assumes until the first segment arrives
  TimestampClock peer_clock_;         // of the peer's PUSH
  TimestampClock echo_clock_;         // of ours, in its acknowledgements
  std::uint64_t fresh_segments_ = 0;
  AckQueue acks_;

  std::uint32_t arrivals_ = 0;  // new segments since arrivals_since_
  TimePoint arrivals_since_{};
  std::optional<TimePoint> probe_at_;  // next WASK; set while the peer's window is 0
  Duration probe_wait_{0};
  bool window_probe_due_ = false;
  bool ping_due_ = false;
  bool ping_outstanding_ = false;  // a ping or a WASK left, and nothing fresh has arrived since
  MtuProbeVerifier mtu_probe_verifier_;
  bool window_update_due_ = false;
  std::uint32_t last_advertised_window_;  // the window in the last segment that left
  std::uint32_t last_advertised_una_ = 0;      // and its una
  TimePoint last_advertised_at_{};             // and when it did
  PeerRestartDetector restart_;
  Counters counters_;
};

}  // namespace kcptun
