#include "core/kcp/send_window.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/serial.h"

namespace kcptun {

SendWindow::SendWindow(BufferPool& pool, std::size_t segment_size, const KcpTuning& tuning,
                       std::uint32_t first_sn)
    : buffer_(pool, segment_size, first_sn), sent_(first_sn), detector_(make_loss_detector(tuning)) {}

// --- transmissions ---

Departure SendWindow::depart(TimePoint now, std::size_t length) {
  return {now, charged_bytes(length), rate_.handle_sent(now, sent_.in_flight_bytes())};
}

SendWindow::Transmission SendWindow::send_new(TimePoint now) {
  const std::uint32_t sn = buffer_.cut();
  const Bytes data = buffer_.data(sn);
  sent_.add(depart(now, data.size()), data.size(),
            group_parity_ == 0 ? Scoreboard::Protection::kNone : Scoreboard::Protection::kParity);
  return {sn, data, Kind::kFirst};
}

SendWindow::Transmission SendWindow::retransmit(TimePoint now, std::uint32_t sn) {
  const Bytes data = buffer_.data(sn);
  sent_.retransmit(sn, depart(now, data.size()));
  if (retransmissions_ == Retransmissions::kTwice) redundant_.add_duplicate(sn, sent_.transmit_number());
  return {sn, data, Kind::kRetransmission};
}

std::optional<SendWindow::Transmission> SendWindow::poll_transmission(TimePoint now, std::uint32_t limit,
                                                                      std::size_t room) {
  if (has_lost()) {
    const std::uint32_t sn = sent_.next_lost();
    if (sent_[sn].length > room) return std::nullopt;
    return retransmit(now, sn);
  }
  if (!buffer_.has_queued() || !serial_less(next(), limit) || buffer_.data(next()).size() > room)
    return std::nullopt;
  return send_new(now);
}

std::optional<SendWindow::Transmission> SendWindow::poll_redundant(
    TimePoint now, const RedundantTransmissions::Request& request) {
  const std::optional<std::uint32_t> sn = redundant_.take_copy(now, request, sent_);
  if (!sn) return std::nullopt;
  sent_.add_redundant(now, *sn, static_cast<std::uint8_t>(sent_[*sn].redundant_copies + 1));
  ++counters_.redundant;
  ++counters_.copies;
  return Transmission{*sn, buffer_.data(*sn), Kind::kRedundant};
}

std::optional<SendWindow::Transmission> SendWindow::poll_duplicate_retransmission(
    TimePoint now, RedundantTransmissions::Gap gap, std::size_t room) {
  const std::optional<std::uint32_t> sn = redundant_.take_duplicate(gap, room, sent_);
  if (!sn) return std::nullopt;
  sent_.add_redundant(now, *sn, RedundantTransmissions::kMaxCopies);
  ++counters_.redundant;
  return Transmission{*sn, buffer_.data(*sn), Kind::kRedundant};
}

// --- acknowledgements ---

void SendWindow::report_first(TimePoint now, std::uint32_t sn, const Acknowledgement& facts) {
  if (facts.copy_arrived && facts.first != FirstOutcome::kUnknown) {
    overtaken_.add(now, sn, wire_ms(facts.segment->first_sent_at), facts.first);
  } else {
    outcomes_.first.add(facts.first);
  }
}

void SendWindow::handle_acknowledged(TimePoint now, std::uint32_t sn, const Acknowledgement& facts) {
  const SentSegment& segment = *facts.segment;
  detector_->handle_acked(now, facts, sent_);
  rate_.handle_acked(now, segment.charged_bytes, facts.last_arrived ? &segment.departure : nullptr,
                     segment.sent_at);
  report_first(now, sn, facts);
  buffer_.release(sn);
}

std::uint32_t SendWindow::handle_una(TimePoint now, std::uint32_t una) {
  KCPTUN_CHECK(plausible_una(una));
  std::uint32_t newly_acked = 0;
  while (sent_.una() != una) {
    const std::uint32_t sn = sent_.una();
    const Acknowledgement facts = sent_.pop_una();
    if (!facts.segment) continue;
    handle_acknowledged(now, sn, facts);
    ++newly_acked;
  }
  return newly_acked;
}

SendWindow::AckResult SendWindow::handle_ack(TimePoint now, std::uint32_t sn, std::uint32_t ts) {
  const Acknowledgement facts = sent_.handle_ack(now, sn, ts);
  if (!facts.segment) {
    outcomes_.first.add(overtaken_.handle_ack(sn, ts));
    return {};
  }
  counters_.spurious += facts.spurious_retransmission;
  handle_acknowledged(now, sn, facts);
  return {1, facts.rtt, facts.spurious_loss};
}

// --- loss ---

const Losses& SendWindow::count(const Losses& losses) {
  counters_.lost_by_packet_threshold += losses.by_packet_threshold;
  counters_.lost_by_time += losses.by_time;
  counters_.timed_out += losses.timed_out;
  counters_.probes += losses.probe_due;
  outcomes_.loss_events += losses.events;
  outcomes_.first.add(losses.first);
  return losses;
}

Losses SendWindow::end_batch(TimePoint now, const RttEstimator& rtt) {
  overtaken_.take_lost(now, outcomes_.first);
  return count(detector_->end_batch(now, rtt, sent_));
}

Losses SendWindow::handle_timeout(TimePoint now, const RttEstimator& rtt) {
  return count(detector_->handle_timeout(now, rtt, sent_));
}

SendWindow::PathOutcomes SendWindow::take_outcomes() { return std::exchange(outcomes_, {}); }

void SendWindow::trim() {
  buffer_.trim();
  sent_.trim();
}

}  // namespace kcptun
