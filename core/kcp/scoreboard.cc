#include "core/kcp/scoreboard.h"

#include <algorithm>
#include <utility>

#include "core/base/serial.h"

namespace kcptun {
namespace {

FirstOutcome report_first(SentSegment& segment, FirstOutcome unprotected, FirstOutcome with_parity) {
  if (!std::exchange(segment.outcome_open, false)) return FirstOutcome::kUnknown;
  return segment.unprotected ? unprotected : with_parity;
}

FirstOutcome report_arrived(SentSegment& segment) {
  return report_first(segment, FirstOutcome::kUnprotectedArrived, FirstOutcome::kProtectedArrived);
}

FirstOutcome report_lost(SentSegment& segment) {
  return report_first(segment, FirstOutcome::kUnprotectedLost, FirstOutcome::kProtectedLost);
}

// The peer echoes the time stamp of the transmission that arrived. The first one gives a sample too, although
// others have left since: a path that is longer than the first time-out would otherwise never be measured. Of
// a transmission in between only the wire time is known; the sample is rounded up, because the minimum of all
// samples counts.
std::optional<Duration> rtt_of(TimePoint now, const SentSegment& segment, std::uint32_t ts) {
  if (wire_ms(segment.sent_at) == ts) return now - segment.sent_at;
  if (wire_ms(segment.first_sent_at) == ts) return now - segment.first_sent_at;
  if (segment.redundant_copies > 0 && wire_ms(segment.redundant_at) == ts) return now - segment.redundant_at;
  if (serial_less(ts, wire_ms(segment.first_sent_at)) || serial_less(wire_ms(now), ts))
    return std::nullopt;  // forged
  return milliseconds(wire_ms(now) - ts + 1);
}

}  // namespace

// --- lists ---

void Scoreboard::append(std::uint8_t index, std::uint32_t sn) {
  List& list = lists_[index];
  SentSegment& segment = ring_[sn];
  segment.list = index;
  segment.previous = list.tail;
  if (list.size++ == 0) {
    list.head = sn;
  } else {
    ring_[list.tail].next = sn;
  }
  list.tail = sn;
}

// REQUIRES: the segment is not acknowledged.
void Scoreboard::remove(const SentSegment& segment, std::uint32_t sn) {
  List& list = lists_[segment.list];
  if (list.head == sn) {
    list.head = segment.next;
  } else {
    ring_[segment.previous].next = segment.next;
  }
  if (list.tail == sn) {
    list.tail = segment.previous;
  } else {
    ring_[segment.next].previous = segment.previous;
  }
  --list.size;
  if (segment.state == SegmentState::kLost) return;
  --in_flight_;
  in_flight_bytes_ -= segment.charged_bytes;
}

// --- sending ---

void Scoreboard::depart(std::uint32_t sn, const Departure& departure) {
  SentSegment& segment = ring_[sn];
  segment.sent_at = departure.at;
  segment.redundant_copies = 0;
  segment.charged_bytes = departure.charged_bytes;
  segment.transmit_number = ++transmit_number_;
  segment.departure = departure.state;
  segment.state = SegmentState::kInFlight;
  ++in_flight_;
  in_flight_bytes_ += segment.charged_bytes;
  append(std::min<std::uint8_t>(segment.timeouts, kBackoffLevels - 1), sn);
}

void Scoreboard::add(const Departure& departure, std::size_t length, Protection protection) {
  const std::uint32_t used = next_ - una_;
  ring_.reserve(una_, used, used + 1);
  SentSegment& segment = ring_[next_];
  segment = {};
  segment.length = static_cast<std::uint16_t>(length);
  segment.outcome_open = true;
  segment.unprotected = protection == Protection::kNone;
  segment.first_sent_at = departure.at;
  depart(next_++, departure);
}

void Scoreboard::retransmit(std::uint32_t sn, const Departure& departure) {
  SentSegment& segment = ring_[sn];
  remove(segment, sn);
  segment.retransmitted = true;
  depart(sn, departure);
}

void Scoreboard::add_redundant(TimePoint now, std::uint32_t sn, std::uint8_t copies) {
  ring_[sn].redundant_copies = copies;
  ring_[sn].copied = true;
  ring_[sn].redundant_at = now;
}

// --- acknowledgements ---

void Scoreboard::acknowledge(std::uint32_t sn, Acknowledgement& facts) {
  SentSegment& segment = ring_[sn];
  remove(segment, sn);
  segment.state = SegmentState::kAcknowledged;
  facts.segment = &segment;
}

Acknowledgement Scoreboard::handle_ack(TimePoint now, std::uint32_t sn, std::uint32_t ts) {
  Acknowledgement facts;
  if (!awaits(sn)) return facts;
  SentSegment& segment = ring_[sn];
  const bool last = wire_ms(segment.sent_at) == ts;
  const bool first = wire_ms(segment.first_sent_at) == ts;
  const bool redundant = segment.redundant_copies > 0 && serial_less(wire_ms(segment.sent_at), ts);
  // A copy of an earlier transmission: that one may well have been lost, as was found.
  const bool earlier_copy = segment.copied && !last && !first && !redundant;
  facts.rtt = rtt_of(now, segment, ts);
  facts.last_arrived = last || !segment.retransmitted;
  facts.first =
      redundant || (segment.retransmitted && !first) ? report_lost(segment) : report_arrived(segment);
  facts.copy_arrived = redundant;
  facts.spurious_retransmission = segment.retransmitted && !last && !redundant;
  facts.spurious_loss =
      segment.was_lost && !redundant && !earlier_copy && (!last || segment.state == SegmentState::kLost);
  acknowledge(sn, facts);
  return facts;
}

// Una does not name a transmission: of a segment that was retransmitted, any may have arrived. Of one that
// was only copied, the first one is most likely.
Acknowledgement Scoreboard::pop_una() {
  Acknowledgement facts;
  SentSegment& segment = ring_[una_];
  if (segment.state != SegmentState::kAcknowledged) {
    facts.last_arrived = !segment.retransmitted;
    if (!segment.retransmitted) facts.first = report_arrived(segment);
    acknowledge(una_, facts);
  }
  ++una_;
  return facts;
}

// --- loss ---

LossFacts Scoreboard::mark_lost(std::uint32_t sn) {
  SentSegment& segment = ring_[sn];
  segment.was_lost = true;
  const bool new_event =
      segment.transmit_number != std::exchange(last_lost_transmit_number_, segment.transmit_number) + 1;
  queue_retransmission(sn);
  return {report_lost(segment), new_event};
}

LossFacts Scoreboard::mark_timed_out(std::uint32_t sn) {
  const LossFacts facts = mark_lost(sn);
  if (SentSegment& segment = ring_[sn]; segment.timeouts < kBackoffLevels) ++segment.timeouts;
  return facts;
}

void Scoreboard::queue_retransmission(std::uint32_t sn) {
  SentSegment& segment = ring_[sn];
  remove(segment, sn);
  segment.state = SegmentState::kLost;
  append(kLostList, sn);
}

void Scoreboard::trim() {
  if (una_ == next_) ring_.release();
}

}  // namespace kcptun
