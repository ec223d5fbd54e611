// The segments that were sent: which are in flight, which wait to be retransmitted, which are acknowledged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/ring.h"
#include "core/base/time.h"
#include "core/kcp/delivery_rate.h"

namespace kcptun {

enum class SegmentState : std::uint8_t {
  kAcknowledged,
  kInFlight,  // a transmission is under way and is not known to be lost
  kLost,      // waits to be retransmitted, because it was found lost or because a probe is due
};

/// What became of the first transmission of a segment. Each segment reports it once. "Unprotected" means that
/// the transmission was in a group without parity.
enum class FirstOutcome : std::uint8_t {
  kUnknown,
  kUnprotectedArrived,
  kUnprotectedLost,
  kProtectedArrived,
  kProtectedLost
};

struct FirstOutcomes {
  std::array<std::uint32_t, 5> counts{};  // by FirstOutcome

  void add(FirstOutcome outcome) { ++counts[static_cast<std::size_t>(outcome)]; }
  void add(const FirstOutcomes& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  }
  std::uint32_t operator[](FirstOutcome outcome) const { return counts[static_cast<std::size_t>(outcome)]; }
};

struct SentSegment {
  std::uint16_t length = 0;  // data bytes
  SegmentState state = SegmentState::kAcknowledged;
  std::uint8_t list = 0;      // of the scoreboard, unless acknowledged
  std::uint8_t timeouts = 0;  // retransmission time-outs so far, kBackoffLevels at most
  bool retransmitted = false;
  bool was_lost = false;              // was found lost at some time, not only retransmitted by a probe
  bool outcome_open = false;          // the outcome of the first transmission was not reported yet
  bool unprotected = false;           // the first transmission was
  bool copied = false;                // had a redundant transmission at some time
  std::uint8_t redundant_copies = 0;  // redundant transmissions since sent_at
  std::uint32_t charged_bytes = 0;    // of the transmission under way
  std::uint32_t previous = 0;  // neighbours in the segment's list, by sn; meaningless at the list's ends
  std::uint32_t next = 0;
  std::uint64_t transmit_number = 0;  // of the last transmission that was not redundant
  TimePoint first_sent_at{};
  TimePoint sent_at{};  // of the same transmission as transmit_number
  TimePoint redundant_at{};
  SentPacketState departure;
};

/// What a transmission is recorded with.
struct Departure {
  TimePoint at{};
  std::uint32_t charged_bytes = 0;
  SentPacketState state;
};

/// The facts of one newly acknowledged segment.
struct Acknowledgement {
  const SentSegment* segment =
      nullptr;  // nullptr: nothing was newly acknowledged. Valid until the next segment is added
  std::optional<Duration> rtt;  // of the transmission that the time stamp names
  bool last_arrived =
      false;  // the transmission of SentSegment::sent_at is the one that arrived, and this is known
  bool spurious_retransmission = false;  // an earlier transmission arrived
  bool spurious_loss = false;            // the same, and the retransmission was due to a loss that was none
  bool copy_arrived = false;             // `first` is lost unless the copy has only overtaken it
  FirstOutcome first = FirstOutcome::kUnknown;
};

/// The facts of one segment that was marked lost.
struct LossFacts {
  FirstOutcome first = FirstOutcome::kUnknown;
  bool new_event =
      false;  // false: the transmission before it was the last one found lost, so that both are one event
};

/// Segments [una, next). Knows transmissions and their times; does not know the data, why a segment is lost,
/// or how many may be sent. Returns facts and counts nothing. All work is O(1) per segment: an
/// acknowledgement is an index, and the segments in flight are in lists in the order in which they were sent,
/// so that loss detection looks at the heads only. Bounded by the send window of its caller.
class Scoreboard {
 public:
  /// There is one list of segments in flight for each number of retransmission time-outs; within one list the
  /// head times out first. Segments with more time-outs share the last list. 8 levels are 8 RTO or more of
  /// back-off, after which a head that hides a slightly earlier deadline makes no difference; each level
  /// costs a comparison per detection.
  static constexpr std::uint8_t kBackoffLevels = 8;

  explicit Scoreboard(std::uint32_t first_sn) : una_(first_sn), next_(first_sn) {}
  Scoreboard(const Scoreboard&) = delete;
  Scoreboard& operator=(const Scoreboard&) = delete;

  // --- sending ---

  enum class Protection : std::uint8_t { kNone, kParity };
  /// The first transmission of segment next(), which has `length` data bytes.
  void add(const Departure& departure, std::size_t length, Protection protection);
  /// The next transmission of a lost segment. REQUIRES: its state is kLost.
  void retransmit(std::uint32_t sn, const Departure& departure);
  /// A redundant transmission of a segment left; it has had `copies` now.
  void add_redundant(TimePoint now, std::uint32_t sn, std::uint8_t copies);
  /// The segment that is retransmitted next: una if it is lost, or else the one that was marked first. The
  /// peer's reader waits for una: where a path lets only the first packets of a burst through, una must be
  /// among them. REQUIRES: has_lost().
  std::uint32_t next_lost() const {
    return ring_[una_].state == SegmentState::kLost ? una_ : lists_[kLostList].head;
  }

  // --- acknowledgements ---

  /// True if `una` is possible: not below ours and not above what was sent.
  bool plausible_una(std::uint32_t una) const { return una - una_ <= next_ - una_; }
  /// The peer acknowledges the transmission of `sn` with wire time stamp `ts`.
  Acknowledgement handle_ack(TimePoint now, std::uint32_t sn, std::uint32_t ts);
  /// The peer's una is beyond the oldest segment: acknowledges it, if it was not, and moves una past it.
  /// REQUIRES: una() != next().
  Acknowledgement pop_una();

  // --- loss ---

  /// Marks a segment in flight as lost.
  LossFacts mark_lost(std::uint32_t sn);
  /// The same after a retransmission time-out: the segment goes one level up when it is retransmitted.
  LossFacts mark_timed_out(std::uint32_t sn);
  /// Queues a segment in flight for retransmission without a judgement, as a probe.
  void queue_retransmission(std::uint32_t sn);

  // --- getters ---

  std::uint32_t una() const { return una_; }
  std::uint32_t next() const { return next_; }
  /// True if `sn` was sent and is not acknowledged.
  bool awaits(std::uint32_t sn) const {
    return sn - una_ < next_ - una_ && ring_[sn].state != SegmentState::kAcknowledged;
  }
  /// REQUIRES: `sn` is in [una, next).
  const SentSegment& operator[](std::uint32_t sn) const { return ring_[sn]; }
  bool has_lost() const { return lists_[kLostList].size > 0; }
  /// Segments in flight with `level` time-outs.
  std::uint32_t in_flight_at(std::uint8_t level) const { return lists_[level].size; }
  /// Of those, the one that was sent first. REQUIRES: in_flight_at(level) > 0.
  std::uint32_t oldest_at(std::uint8_t level) const { return lists_[level].head; }
  std::uint32_t in_flight() const { return in_flight_; }
  std::uint64_t in_flight_bytes() const { return in_flight_bytes_; }
  /// The number of the last transmission; the first one has number 1. Redundant ones have no number.
  std::uint64_t transmit_number() const { return transmit_number_; }

  /// Frees idle memory if nothing is outstanding.
  void trim();

 private:
  static constexpr std::uint8_t kLostList = kBackoffLevels;

  struct List {
    std::uint32_t head = 0;
    std::uint32_t tail = 0;
    std::uint32_t size = 0;
  };

  void append(std::uint8_t list, std::uint32_t sn);
  void remove(const SentSegment& segment, std::uint32_t sn);
  void acknowledge(std::uint32_t sn, Acknowledgement& facts);
  void depart(std::uint32_t sn, const Departure& departure);

  SequenceRing<SentSegment> ring_;
  std::array<List, kBackoffLevels + 1> lists_{};
  std::uint32_t una_;   // oldest segment not acknowledged
  std::uint32_t next_;  // behind the last segment sent
  std::uint32_t in_flight_ = 0;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint64_t transmit_number_ = 0;
  std::uint64_t last_lost_transmit_number_ = 0;
};

}  // namespace kcptun
