// The sending side of a session: the stream's segments from the first write to their acknowledgement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/bytes.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/delivery_rate.h"
#include "core/kcp/loss_detector.h"
#include "core/kcp/overtaken_transmissions.h"
#include "core/kcp/redundant_transmissions.h"
#include "core/kcp/rtt_estimator.h"
#include "core/kcp/scoreboard.h"
#include "core/kcp/segment.h"
#include "core/kcp/send_buffer.h"

namespace kcptun {

/// Combines the parts and counts what they report: SendBuffer holds the data of segments [una, end),
/// Scoreboard the state of those in [una, next) that were sent, a LossDetector finds the lost ones. Does not
/// know windows, packets or congestion: Kcp decides how far to send. Bounded by its caller, which asks for
/// room before it appends.
class SendWindow {
 public:
  struct Counters {
    std::uint64_t lost_by_packet_threshold = 0;
    std::uint64_t timed_out = 0;
    std::uint64_t lost_by_time = 0;
    std::uint64_t probes = 0;     // tail-loss probes
    std::uint64_t spurious = 0;   // retransmissions of segments of which an earlier transmission arrived
    std::uint64_t redundant = 0;  // copies and duplicate retransmissions
    std::uint64_t copies = 0;     // of a thin stream's segments
  };
  struct AckResult {
    std::uint32_t newly_acked = 0;
    std::optional<Duration> rtt;  // of the transmission that the time stamp names
    bool spurious = false;        // the segment had been found lost, and was not
  };
  enum class Kind : std::uint8_t { kFirst, kRetransmission, kRedundant };
  /// A segment to put on the wire. The data stays valid until the segment is acknowledged.
  struct Transmission {
    std::uint32_t sn = 0;
    Bytes data;
    Kind kind = Kind::kFirst;
  };

  /// `pool` outlives the window; its buffers hold at least `segment_size` bytes. `first_sn` other than 0 is
  /// for tests.
  SendWindow(BufferPool& pool, std::size_t segment_size, const KcpTuning& tuning, std::uint32_t first_sn = 0);

  // --- the byte stream: see SendBuffer ---

  void prepare(std::size_t bytes, std::vector<MutableBytes>& pieces) { buffer_.prepare(bytes, pieces); }
  void commit(std::size_t bytes) { buffer_.commit(bytes); }
  void set_segment_size(std::size_t bytes) { buffer_.set_segment_size(bytes); }
  std::uint32_t next_byte_sn() const { return buffer_.next_byte_sn(); }

  // --- transmissions ---

  /// The next segment that is lost, or else the next queued one below `limit` (an sn); records its
  /// transmission at `now`. Nothing if there is none, or if its data is longer than `room`.
  std::optional<Transmission> poll_transmission(TimePoint now, std::uint32_t limit, std::size_t room);
  /// The segment that left last is to be followed by its copies.
  void add_copies(TimePoint now, const Transmission& transmission) {
    redundant_.add_copies(now, transmission.sn, sent_.transmit_number());
  }
  /// The next copy (RedundantTransmissions::take_copy).
  std::optional<Transmission> poll_redundant(TimePoint now, const RedundantTransmissions::Request& request);
  std::optional<TimePoint> next_copy_at(std::uint8_t copies) {
    return redundant_.next_copy_at(copies, sent_);
  }
  void drop_due_copies(TimePoint now) { redundant_.drop_due_copies(now); }
  void drop_copies() { redundant_.drop_copies(); }
  /// The next duplicate retransmission (RedundantTransmissions::take_duplicate).
  std::optional<Transmission> poll_duplicate_retransmission(TimePoint now, RedundantTransmissions::Gap gap,
                                                            std::size_t room);
  bool has_duplicate_retransmissions() const { return redundant_.has_duplicates(); }
  enum class Retransmissions : std::uint8_t { kOnce, kTwice };
  /// How often lost segments leave from now on.
  void set_retransmissions(Retransmissions retransmissions) { retransmissions_ = retransmissions; }

  /// Segments that leave from now on are in groups of `data` packets with `parity` more packets, which are
  /// charged to them.
  void set_group(std::uint32_t data, std::uint32_t parity) {
    group_data_ = data;
    group_parity_ = parity;
  }
  /// The bytes that a segment with `data` bytes takes on the path, header and share of parity included.
  std::uint32_t charged_bytes(std::size_t data) const {
    const auto size = static_cast<std::uint32_t>(kSegmentHeader + data);
    return group_parity_ == 0 ? size : size + size * group_parity_ / group_data_;
  }

  // --- acknowledgements ---

  /// True if `una` is possible: not below ours and not above what was sent.
  bool plausible_una(std::uint32_t una) const { return sent_.plausible_una(una); }
  /// All segments below `una` have arrived; returns how many were newly acknowledged. REQUIRES:
  /// plausible_una(una).
  std::uint32_t handle_una(TimePoint now, std::uint32_t una);
  /// The transmission of `sn` with wire time stamp `ts` has arrived.
  AckResult handle_ack(TimePoint now, std::uint32_t sn, std::uint32_t ts);

  // --- loss ---

  /// A batch of packets was handled: finds the segments that it shows to be lost.
  Losses end_batch(TimePoint now, const RttEstimator& rtt);
  /// Time passed: finds the segments that are lost by now.
  Losses handle_timeout(TimePoint now, const RttEstimator& rtt);
  std::optional<TimePoint> next_timeout(const RttEstimator& rtt) const {
    return detector_->next_timeout(rtt, sent_);
  }
  /// What became of first transmissions, and how many loss events there were, since the last call.
  struct PathOutcomes {
    FirstOutcomes first;
    std::uint32_t loss_events = 0;
  };
  PathOutcomes take_outcomes();
  void update_settings(const KcpTuning& tuning) { detector_->update_settings(tuning); }

  // --- getters ---

  std::uint32_t una() const { return sent_.una(); }
  std::uint32_t next() const { return sent_.next(); }
  std::uint32_t end() const { return buffer_.end(); }
  /// Segments that are not acknowledged, queued ones included.
  std::uint32_t size() const { return end() - una(); }
  bool empty() const { return end() == una(); }
  /// True if `sn` was sent and is not acknowledged.
  bool awaits(std::uint32_t sn) const { return sent_.awaits(sn); }
  bool has_lost() const { return sent_.has_lost(); }
  /// Segments in flight that are not known to be lost.
  std::uint32_t in_flight() const { return sent_.in_flight(); }
  /// True if all that was written is in flight or acknowledged.
  bool all_sent() const { return !has_lost() && !buffer_.has_queued(); }
  /// Their charged bytes.
  std::uint64_t in_flight_bytes() const { return sent_.in_flight_bytes(); }
  DeliveryRate& rate() { return rate_; }
  const DeliveryRate& rate() const { return rate_; }
  const Counters& counters() const { return counters_; }

  /// Frees idle memory.
  void trim();

 private:
  Departure depart(TimePoint now, std::size_t length);
  Transmission send_new(TimePoint now);
  Transmission retransmit(TimePoint now, std::uint32_t sn);
  void handle_acknowledged(TimePoint now, std::uint32_t sn, const Acknowledgement& facts);
  void report_first(TimePoint now, std::uint32_t sn, const Acknowledgement& facts);
  const Losses& count(const Losses& losses);

  SendBuffer buffer_;
  Scoreboard sent_;
  std::unique_ptr<LossDetector> detector_;
  RedundantTransmissions redundant_;
  DeliveryRate rate_;
  Retransmissions retransmissions_ = Retransmissions::kOnce;
  std::uint32_t group_data_ = 1;
  std::uint32_t group_parity_ = 0;
  PathOutcomes outcomes_;  // since take_outcomes()
  OvertakenTransmissions overtaken_;
  Counters counters_;
};

}  // namespace kcptun
