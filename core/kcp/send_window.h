// The sending side's segments: a byte stream cut into segments, those in flight, and those found lost.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ring.h"
#include "core/base/time.h"
#include "core/kcp/delivery_rate.h"
#include "core/kcp/rtt_estimator.h"
#include "core/kcp/segment.h"
#include "core/kcp/send_buffer.h"

namespace kcptun {

/// Segments [una, end): in flight or lost below `next`, queued from there on. Knows segments, copies and their times;
/// does not know windows, packets or congestion: Kcp decides how far to send.
/// All work is O(1) per segment: acknowledgement is an index, and because copies are kept in lists ordered by the
/// time they left, loss by order and loss by time only ever look at the heads.
/// Bounded by its caller, which asks for room before it appends.
class SendWindow {
 public:
  struct Settings {
    std::size_t segment_size = 0;   // mss: data bytes per segment
    std::uint32_t resend = 0;       // lost once a copy sent this many later was acknowledged; 0: never by order
    bool arithmetic_backoff = false;  // each time-out adds half an RTO to the next, not a whole one
    std::uint32_t first_sn = 0;       // other than 0 is for tests
    bool by_time = false;  // losses are found by detect_lost_by_time() and probes; `resend` and the time-outs don't count
  };
  struct Counters {
    std::uint64_t lost_by_packet_threshold = 0;  // found lost by order
    std::uint64_t timed_out = 0;  // found lost by time
    std::uint64_t lost_by_time = 0;  // found lost by order and time
    std::uint64_t loss_events = 0;  // the same, but copies that left one after another count once
    std::uint64_t probes = 0;     // sent again to make a silent peer speak
    std::uint64_t spurious = 0;   // sent again, and then an older copy was acknowledged
    std::uint64_t repeats = 0;    // poll_redundant()
    // What became of first copies that no parity protected: their sum tells the path's loss.
    std::uint64_t unprotected_arrived = 0;
    std::uint64_t unprotected_lost = 0;
    // And of those that some did: lost are those that it could not bring back.
    std::uint64_t protected_arrived = 0;
    std::uint64_t protected_lost = 0;
  };
  /// What an acknowledgement told.
  struct AckResult {
    std::uint32_t newly_acked = 0;
    std::optional<Duration> rtt;  // of the copy that the time stamp names, in whole milliseconds if it is a middle one
    bool spurious = false;        // it had been found lost, and was not
  };
  /// A copy to put on the wire. The data stays valid until the segment is acknowledged.
  struct Transmission {
    std::uint32_t sn = 0;
    Bytes data;
    bool retransmission = false;
    bool repeat = false;  // for safety: the segment is not believed to be lost
  };

  /// `pool` outlives the window; its buffers hold at least segment_size bytes.
  SendWindow(BufferPool& pool, const Settings& settings);
  SendWindow(const SendWindow&) = delete;
  SendWindow& operator=(const SendWindow&) = delete;

  // --- the byte stream ---

  /// Lays out room for `bytes` more bytes at the end of the stream and appends the pieces to `pieces`, in order.
  /// The pieces are writable until commit(), which must follow before anything else is called.
  void prepare(std::size_t bytes, std::vector<MutableBytes>& pieces) { buffer_.prepare(bytes, pieces); }
  /// Data bytes of segments from now on. Those that are cut already stay as they are.
  void set_segment_size(std::size_t bytes) { buffer_.set_segment_size(bytes); }
  /// Adds the first `bytes` of what was prepared to the stream; the rest is taken back.
  void commit(std::size_t bytes) { buffer_.commit(bytes); }
  /// The segment that the next byte of the stream goes into. REQUIRES: nothing is prepared.
  std::uint32_t next_byte_sn() const { return buffer_.next_byte_sn(); }

  // --- copies ---

  /// The next segment found lost (una's first, then as they were found), or else the next queued one below `limit` (an
  /// sn); marks it as sent at `now`.
  /// Nothing if there is none, or if its data is longer than `room`.
  std::optional<Transmission> poll_transmission(TimePoint now, std::uint32_t limit, std::size_t room);

  /// Copies that leave from now on are in groups of `data` packets with `parity` more. What a segment takes on the path
  /// includes its share of those.
  void set_group(std::uint32_t data, std::uint32_t parity) {
    group_data_ = data;
    group_parity_ = parity;
  }
  /// Bytes of a segment with `data` bytes, header and share of parity included.
  std::uint32_t charged_bytes(std::size_t data) const {
    const auto size = static_cast<std::uint32_t>(kSegmentHeader + data);
    return group_parity_ == 0 ? size : size + size * group_parity_ / group_data_;
  }
  /// A small segment that is under way and worth repeating in a packet that leaves anyhow, with `room` bytes
  /// of data left: it has not been repeated `times` times, in packets of different moments, or its acknowledgement is
  /// overdue, `overdue` after the last copy. Copies from number `before` on don't count: they are in this packet.
  /// Looks at kThinSegments segments at most.
  std::optional<Transmission> poll_redundant(TimePoint now, std::uint8_t times, Duration overdue, std::size_t room,
                                  std::uint64_t before);
  /// Segments found lost leave twice from now on, or don't: the second time kDuplicateGap copies later, with poll_duplicate_retransmission().
  void set_duplicate_retransmissions(bool twice) { duplicate_retransmissions_ = twice; }
  /// The next segment that leaves a second time and is not acknowledged yet. `idle`: nothing else waits, so that the gap
  /// does not matter. Nothing if there is none, or if its data is longer than `room`.
  std::optional<Transmission> poll_duplicate_retransmission(TimePoint now, bool idle, std::size_t room);
  /// Number of the copy that leaves next.
  std::uint64_t next_transmit_number() const { return transmit_number_ + 1; }

  // --- what the peer told ---

  /// True if `una` can be: not behind ours, not beyond what was sent.
  bool plausible_una(std::uint32_t una) const { return una - una_ <= next() - una_; }
  /// All below `una` have arrived; returns how many were news. REQUIRES: plausible_una(una).
  std::uint32_t handle_una(TimePoint now, std::uint32_t una);
  /// The copy of `sn` that left at wire time `ts` has arrived. Out of the window: nothing happens.
  AckResult handle_ack(TimePoint now, std::uint32_t sn, std::uint32_t ts);

  // --- loss ---

  /// Marks as lost what `resend` later copies have overtaken. Returns how many.
  std::uint32_t detect_lost_by_packet_threshold();
  /// Marks as lost what waits longer than its time-out. Returns how many.
  std::uint32_t detect_timed_out(TimePoint now, const RttEstimator& rtt);
  /// RACK (RFC 8985 section 6.2): marks as lost what left before a copy that has been acknowledged, and is later than
  /// that one's round trip and the reordering window allow. Returns how many. REQUIRES: Settings::by_time.
  std::uint32_t detect_lost_by_time(TimePoint now, const RttEstimator& rtt);
  /// Tail-loss probe (RFC 8985 section 7): when nothing was acknowledged for a time-out, the oldest segment goes out
  /// again, alone: its acknowledgement lets detect_lost_by_time() judge all others. Doubles its wait up to kMaxProbeTimeout,
  /// so that traffic is back soon after an outage. True if a probe is due to leave. REQUIRES: Settings::by_time.
  bool on_probe_timeout(TimePoint now, const RttEstimator& rtt);
  /// When the detection by time, of either kind, will next find something.
  std::optional<TimePoint> next_timeout(const RttEstimator& rtt) const;

  /// Settings::resend and arithmetic_backoff may change at any time.
  void update_settings(std::uint32_t resend, bool arithmetic_backoff) {
    settings_.resend = resend;
    settings_.arithmetic_backoff = arithmetic_backoff;
  }

  // --- getters ---

  std::uint32_t una() const { return una_; }
  std::uint32_t next() const { return buffer_.next(); }
  std::uint32_t end() const { return buffer_.end(); }
  /// Segments not yet acknowledged, queued ones included.
  std::uint32_t size() const { return end() - una_; }
  bool empty() const { return end() == una_; }
  /// True if `sn` was sent and is not acknowledged.
  bool awaits(std::uint32_t sn) const { return sn - una_ < next() - una_ && !ring_[sn].acked; }
  bool has_lost() const { return lists_[kLostList].size > 0; }
  /// Segments with a copy under way that is not known to be lost.
  std::uint32_t in_flight() const { return in_flight_; }
  /// The same in bytes, headers and their shares of parity included.
  std::uint64_t in_flight_bytes() const { return in_flight_bytes_; }
  DeliveryRate& rate() { return rate_; }
  const DeliveryRate& rate() const { return rate_; }
  const Counters& counters() const { return counters_; }
  /// How much later than a newer copy one may be acknowledged before it counts as lost: a quarter of the smallest RTT
  /// at first, kMaxFirstReordering at most; wider by as much in each round trip that proved a loss to be none, up
  /// to the smoothed RTT; narrower again after kCalmLosses that were real (RFC 8985 section 6.2 step 4).
  Duration reordering_window(const RttEstimator& rtt) const;

  static constexpr Duration kMaxProbeTimeout = milliseconds(500);
  static constexpr Duration kMinReordering = milliseconds(1);  // batches at the receiver reorder by so much
  static constexpr Duration kMaxFirstReordering = milliseconds(5);
  static constexpr std::uint32_t kMaxReordering = 64;  // times the first window
  static constexpr std::uint32_t kCalmLosses = 64;
  /// A stream is thin while no more than so many segments are under way.
  static constexpr std::uint32_t kThinSegments = 16;
  static constexpr std::uint8_t kMaxRedundantCopies = 3;  // of one copy
  static constexpr std::uint64_t kDuplicateGap = 16;   // copies: longer than most bursts of losses
  static constexpr std::size_t kMaxPendingDuplicates = 1024;  // that wait; others leave once

  /// Gives idle memory back when the window is empty.
  void trim();

 private:
  // Copies by the number of time-outs that their segment has seen, each in the order of leaving: within one list the
  // head times out first. The last level keeps all that is beyond.
  static constexpr std::uint8_t kLevels = 8;
  static constexpr std::uint8_t kLostList = kLevels;
  static constexpr std::uint8_t kNoList = 0xff;

  struct Slot {
    std::uint16_t length = 0;
    bool acked = false;
    std::uint8_t list = kNoList;
    std::uint8_t timeouts = 0;
    bool sent = false;
    bool resent = false;
    bool found_lost = false;     // by order or time, not by a probe
    bool uncounted = false;      // what became of the first copy is not known yet
    bool unprotected = false;           // no parity protected that one
    std::uint32_t charged_bytes = 0;  // of the copy under way
    std::uint8_t repeats = 0;    // since sent_at
    std::uint32_t previous = 0;  // neighbours in `list`, by sn; meaningless at its ends
    std::uint32_t next = 0;
    std::uint64_t order = 0;   // counts copies in the order of leaving
    TimePoint first_sent_at{};
    TimePoint sent_at{};  // of the last copy that was not a repeat
    TimePoint repeated_at{};
    SentPacketState departure;
  };
  struct List {
    std::uint32_t head = 0;
    std::uint32_t tail = 0;
    std::uint32_t size = 0;
  };

  void append_to(std::uint8_t list, std::uint32_t sn);
  void remove_from_list(std::uint32_t sn);
  void mark_lost(std::uint32_t sn);
  void acknowledge(TimePoint now, std::uint32_t sn, bool last_transmission);
  void learn_reordering(const Slot& slot);
  void count_arrived(Slot& slot);
  void count_lost(Slot& slot);
  void find_lost(Slot& slot);
  std::optional<TimePoint> probe_at(const RttEstimator& rtt) const;
  Duration timeout_of_level(std::uint8_t level, Duration rto) const;
  static std::optional<Duration> rtt_of(TimePoint now, const Slot& slot, std::uint32_t ts);
  Transmission send(TimePoint now, std::uint32_t sn, bool retransmission);

  SendBuffer buffer_;
  Settings settings_;
  SequenceRing<Slot> ring_;
  std::array<List, kLevels + 1> lists_{};
  std::uint32_t una_ = 0;   // oldest segment not acknowledged
  std::uint32_t in_flight_ = 0;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint64_t transmit_number_ = 0;     // of the last copy that left; the first is 1
  std::uint64_t max_acked_transmit_number_ = 0;
  Duration newest_rtt_{0};               // of the copy of that order
  std::optional<TimePoint> time_threshold_at_;     // when detect_lost_by_time() will find the next one
  std::uint32_t reordering_ = 1;         // reordering window, in units of the first
  std::uint64_t last_lost_transmit_number_ = 0;
  std::uint64_t widened_at_transmit_number_ = 0;   // copies up to this one have had their say in reordering_
  std::uint32_t calm_losses_ = 0;        // found late since the last one that was none
  TimePoint progress_at_{};              // when something was last acknowledged
  TimePoint probed_at_{};
  std::uint32_t probes_ = 0;  // since then
  DeliveryRate rate_;
  std::uint32_t group_data_ = 1;
  std::uint32_t group_parity_ = 0;
  bool duplicate_retransmissions_ = false;
  struct PendingDuplicate {
    std::uint32_t sn;
    std::uint64_t order;  // of the first of the two
  };
  std::deque<PendingDuplicate> pending_duplicates_;
  Counters counters_;
};

}  // namespace kcptun
