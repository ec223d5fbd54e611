#include "core/kcp/send_window.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/serial.h"

namespace kcptun {

SendWindow::SendWindow(BufferPool& pool, const Settings& settings)
    : pool_(pool), settings_(settings), una_(settings.first_sn), next_(una_), end_(una_) {
  KCPTUN_CHECK(settings.segment_size > 0 && settings.segment_size <= pool.buffer_size());
}

SendWindow::~SendWindow() {
  for (std::uint32_t sn = una_; sn != end_ + prepared_; ++sn)
    if (std::uint8_t* data = ring_[sn].data) pool_.give(data);
}

// --- the byte stream ---

void SendWindow::set_segment_size(std::size_t bytes) {
  KCPTUN_CHECK(prepared_ == 0 && bytes > 0 && bytes <= pool_.buffer_size());
  settings_.segment_size = bytes;
}

bool SendWindow::fillable_tail() const {
  return end_ != next_ && ring_[end_ - 1].length < settings_.segment_size;
}

void SendWindow::prepare(std::size_t bytes, std::vector<MutableBytes>& pieces) {
  KCPTUN_CHECK(prepared_ == 0);
  if (bytes > 0 && fillable_tail()) {
    Slot& tail = ring_[end_ - 1];
    const std::size_t take = std::min(bytes, settings_.segment_size - tail.length);
    pieces.push_back({tail.data + tail.length, take});
    bytes -= take;
  }
  const std::size_t count = (bytes + settings_.segment_size - 1) / settings_.segment_size;
  ring_.reserve(una_, size(), size() + count);
  for (; bytes > 0; ++prepared_) {
    Slot& slot = ring_[end_ + prepared_];
    slot = Slot{};
    slot.data = pool_.take();
    const std::size_t take = std::min(bytes, settings_.segment_size);
    pieces.push_back({slot.data, take});
    bytes -= take;
  }
}

void SendWindow::commit(std::size_t bytes) {
  if (bytes > 0 && fillable_tail()) {
    Slot& tail = ring_[end_ - 1];
    const std::size_t take = std::min(bytes, settings_.segment_size - tail.length);
    tail.length = static_cast<std::uint16_t>(tail.length + take);
    bytes -= take;
  }
  for (; bytes > 0; ++end_, --prepared_) {
    KCPTUN_CHECK(prepared_ > 0);
    const std::size_t take = std::min(bytes, settings_.segment_size);
    ring_[end_].length = static_cast<std::uint16_t>(take);
    bytes -= take;
  }
  for (; prepared_ > 0; --prepared_) {
    Slot& unused = ring_[end_ + prepared_ - 1];
    pool_.give(std::exchange(unused.data, nullptr));
  }
}

// --- lists ---

void SendWindow::append_to(std::uint8_t list, std::uint32_t sn) {
  List& l = lists_[list];
  Slot& slot = ring_[sn];
  slot.list = list;
  slot.previous = l.tail;
  if (l.size++ == 0) {
    l.head = sn;
  } else {
    ring_[l.tail].next = sn;
  }
  l.tail = sn;
  if (list == kLostList) return;
  ++in_flight_;
  in_flight_bytes_ += slot.charged_bytes;
}

void SendWindow::remove_from_list(std::uint32_t sn) {
  Slot& slot = ring_[sn];
  if (slot.list == kNoList) return;
  List& l = lists_[slot.list];
  if (l.head == sn) {
    l.head = slot.next;
  } else {
    ring_[slot.previous].next = slot.next;
  }
  if (l.tail == sn) {
    l.tail = slot.previous;
  } else {
    ring_[slot.next].previous = slot.previous;
  }
  --l.size;
  if (slot.list != kLostList) {
    --in_flight_;
    in_flight_bytes_ -= slot.charged_bytes;
  }
  slot.list = kNoList;
}

void SendWindow::mark_lost(std::uint32_t sn) {
  remove_from_list(sn);
  append_to(kLostList, sn);
}

// --- copies ---

SendWindow::Transmission SendWindow::send(TimePoint now, std::uint32_t sn, bool retransmission) {
  Slot& slot = ring_[sn];
  if (!retransmission) {
    slot.first_sent_at = now;
    slot.uncounted = true;
    slot.unprotected = group_parity_ == 0;
  }
  slot.sent = true;
  slot.resent = retransmission;
  slot.sent_at = now;
  slot.repeats = 0;
  slot.charged_bytes = charged_bytes(slot.length);
  slot.order = ++transmit_number_;
  slot.departure = rate_.handle_sent(now, in_flight_bytes_);
  append_to(std::min<std::uint8_t>(slot.timeouts, kLevels - 1), sn);
  if (retransmission && duplicate_retransmissions_ && pending_duplicates_.size() < kMaxPendingDuplicates) pending_duplicates_.push_back({sn, transmit_number_});
  return {sn, {slot.data, slot.length}, retransmission, false};
}

std::optional<SendWindow::Transmission> SendWindow::poll_transmission(TimePoint now, std::uint32_t limit, std::size_t room) {
  if (has_lost()) {
    // The peer's reader waits for una: where only the first packets of a burst get through, it must be among them.
    const std::uint32_t sn = ring_[una_].list == kLostList ? una_ : lists_[kLostList].head;
    if (ring_[sn].length > room) return std::nullopt;
    remove_from_list(sn);
    return send(now, sn, true);
  }
  if (next_ == end_ || !serial_less(next_, limit) || ring_[next_].length > room) return std::nullopt;
  return send(now, next_++, false);
}

std::optional<SendWindow::Transmission> SendWindow::poll_redundant(TimePoint now, std::uint8_t times, Duration overdue,
                                                        std::size_t room, std::uint64_t before) {
  Slot* best = nullptr;  // who was repeated least, so that the newest is not the last
  std::uint32_t best_sn = 0;
  std::uint32_t sn = lists_[0].head;
  for (std::uint32_t left = std::min(lists_[0].size, kThinSegments); left > 0; --left, sn = ring_[sn].next) {
    Slot& slot = ring_[sn];
    if (slot.order >= before) break;
    const Duration age = now - (slot.repeats > 0 ? slot.repeated_at : slot.sent_at);
    const bool due = slot.repeats == 0 || (slot.repeats < times && age > Duration(0));
    const bool late = slot.repeats < kMaxRedundantCopies && age > overdue;
    if (slot.length > room || !(due || late) || (best && best->repeats <= slot.repeats)) continue;
    best = &slot;
    best_sn = sn;
  }
  if (!best) return std::nullopt;
  ++best->repeats;
  best->repeated_at = now;
  ++counters_.repeats;
  return Transmission{best_sn, {best->data, best->length}, true, true};
}

std::optional<SendWindow::Transmission> SendWindow::poll_duplicate_retransmission(TimePoint now, bool idle, std::size_t room) {
  for (; !pending_duplicates_.empty(); pending_duplicates_.pop_front()) {
    const auto [sn, order] = pending_duplicates_.front();
    if (sn - una_ >= next_ - una_ || !ring_[sn].data || ring_[sn].order != order) continue;  // it has arrived, or left again
    Slot& slot = ring_[sn];
    if (slot.length > room || (!idle && transmit_number_ - order < kDuplicateGap)) return std::nullopt;
    pending_duplicates_.pop_front();
    slot.repeats = kMaxRedundantCopies;
    slot.repeated_at = now;
    ++counters_.repeats;
    return Transmission{sn, {slot.data, slot.length}, true, true};
  }
  return std::nullopt;
}

// --- what the peer told ---

void SendWindow::acknowledge(TimePoint now, std::uint32_t sn, bool last_transmission) {
  Slot& slot = ring_[sn];
  // Which copy arrived is known when there was only one, or when its time stamp says so.
  const bool known = last_transmission || !slot.resent;
  if (known && slot.order > max_acked_transmit_number_) {
    max_acked_transmit_number_ = slot.order;
    newest_rtt_ = now - slot.sent_at;
  }
  rate_.handle_acked(now, slot.charged_bytes, known ? &slot.departure : nullptr, slot.sent_at);
  if (!slot.resent) count_arrived(slot);  // else una alone does not say which copy it was
  progress_at_ = now;
  probes_ = 0;
  remove_from_list(sn);
  pool_.give(std::exchange(slot.data, nullptr));
}

std::uint32_t SendWindow::handle_una(TimePoint now, std::uint32_t una) {
  KCPTUN_CHECK(plausible_una(una));
  std::uint32_t newly_acked = 0;
  for (; una_ != una; ++una_) {
    if (!ring_[una_].data) continue;
    acknowledge(now, una_, !ring_[una_].resent);
    ++newly_acked;
  }
  return newly_acked;
}

// The peer echoes the time stamp of the copy that arrived: the first one's is a sample even where it came so late that others
// had left by then, or a path that is longer than the first time-out would never be measured.
std::optional<Duration> SendWindow::rtt_of(TimePoint now, const Slot& slot, std::uint32_t ts) {
  if (wire_ms(slot.sent_at) == ts) return now - slot.sent_at;
  if (wire_ms(slot.first_sent_at) == ts) return now - slot.first_sent_at;
  if (slot.repeats > 0 && wire_ms(slot.repeated_at) == ts) return now - slot.repeated_at;
  if (serial_less(ts, wire_ms(slot.first_sent_at)) || serial_less(wire_ms(now), ts)) return std::nullopt;  // a lie
  return milliseconds(wire_ms(now) - ts + 1);  // too long rather than too short: the smallest counts
}

SendWindow::AckResult SendWindow::handle_ack(TimePoint now, std::uint32_t sn, std::uint32_t ts) {
  AckResult result;
  if (sn - una_ >= next_ - una_ || !ring_[sn].data) return result;
  Slot& slot = ring_[sn];
  const bool last_transmission = wire_ms(slot.sent_at) == ts;
  const bool repeat = slot.repeats > 0 && serial_less(wire_ms(slot.sent_at), ts);
  result.rtt = rtt_of(now, slot, ts);
  const bool first_copy = wire_ms(slot.first_sent_at) == ts;
  if (repeat || (slot.resent && !first_copy)) count_lost(slot);  // whoever found it out, a probe too
  if (slot.resent && first_copy) count_arrived(slot);
  if (slot.resent && !last_transmission && !repeat) ++counters_.spurious;
  result.spurious = slot.found_lost && !repeat && (!last_transmission || slot.list == kLostList);
  if (result.spurious) learn_reordering(slot);
  acknowledge(now, sn, last_transmission);
  result.newly_acked = 1;
  return result;
}

// --- loss ---

std::uint32_t SendWindow::detect_lost_by_packet_threshold() {
  if (settings_.resend == 0) return 0;
  std::uint32_t found = 0;
  for (std::uint8_t level = 0; level < kLevels; ++level) {
    while (lists_[level].size > 0) {
      const std::uint32_t sn = lists_[level].head;
      Slot& slot = ring_[sn];
      if (slot.order + settings_.resend > max_acked_transmit_number_) break;
      find_lost(slot);
      mark_lost(sn);
      ++found;
    }
  }
  counters_.lost_by_packet_threshold += found;
  return found;
}

// docs/develop/protocol.md section 5: 0.2, 0.6, 1.2, 2.0 s, or with nodelay 0.2, 0.5, 0.9, 1.4 s, at an RTO of 0.2 s.
Duration SendWindow::timeout_of_level(std::uint8_t level, Duration rto) const {
  const Duration waited = settings_.arithmetic_backoff ? rto + rto * level / 2 : rto * (level + 1);
  return std::min<Duration>(waited, seconds(60));
}

std::uint32_t SendWindow::detect_timed_out(TimePoint now, const RttEstimator& rtt) {
  std::uint32_t found = 0;
  for (std::uint8_t level = 0; level < kLevels; ++level) {
    const Duration timeout = timeout_of_level(level, rtt.timeout());
    while (lists_[level].size > 0) {
      const std::uint32_t sn = lists_[level].head;
      Slot& slot = ring_[sn];
      if (now - slot.sent_at < timeout) break;
      if (slot.timeouts < kLevels) ++slot.timeouts;
      find_lost(slot);
      mark_lost(sn);
      ++found;
    }
  }
  counters_.timed_out += found;
  return found;
}

// The acknowledged copy says that the loss was none: either it was on its way all the time, or it left later than it
// was believed to be lost. Once per round trip, because all that was found before comes from the same misjudgement.
void SendWindow::learn_reordering(const Slot& slot) {
  calm_losses_ = 0;
  if (slot.order <= widened_at_transmit_number_) return;
  widened_at_transmit_number_ = transmit_number_;
  reordering_ = std::min(reordering_ + 1, kMaxReordering);
}

void SendWindow::count_arrived(Slot& slot) {
  if (std::exchange(slot.uncounted, false)) ++(slot.unprotected ? counters_.unprotected_arrived : counters_.protected_arrived);
}

void SendWindow::count_lost(Slot& slot) {
  if (std::exchange(slot.uncounted, false)) ++(slot.unprotected ? counters_.unprotected_lost : counters_.protected_lost);
}

// By order or by time. Copies that left one after another are one event.
void SendWindow::find_lost(Slot& slot) {
  slot.found_lost = true;
  count_lost(slot);
  if (slot.order != std::exchange(last_lost_transmit_number_, slot.order) + 1) ++counters_.loss_events;
}

Duration SendWindow::reordering_window(const RttEstimator& rtt) const {
  const Duration first =
      std::clamp<Duration>(rtt.minimum().value_or(Duration(0)) / 4, kMinReordering, kMaxFirstReordering);
  return std::min(first * reordering_, std::max(first, rtt.smoothed().value_or(first)));
}

// Copies of one order are also in the order of time, so that the first one that is not late ends the search.
std::uint32_t SendWindow::detect_lost_by_time(TimePoint now, const RttEstimator& rtt) {
  time_threshold_at_.reset();
  const Duration allowed = newest_rtt_ + reordering_window(rtt);
  std::uint32_t found = 0;
  for (const List& sent = lists_[0]; sent.size > 0; ++found) {
    const std::uint32_t sn = sent.head;
    Slot& slot = ring_[sn];
    if (slot.order >= max_acked_transmit_number_) break;
    if (now - slot.sent_at < allowed) {
      time_threshold_at_ = slot.sent_at + allowed;
      break;
    }
    find_lost(slot);
    mark_lost(sn);
  }
  counters_.lost_by_time += found;
  calm_losses_ += found;
  if (calm_losses_ >= kCalmLosses) {
    calm_losses_ = 0;
    reordering_ = std::max(reordering_ - 1, 1u);
  }
  return found;
}

std::optional<TimePoint> SendWindow::probe_at(const RttEstimator& rtt) const {
  if (lists_[0].size == 0) return std::nullopt;
  const Duration wait = std::min<Duration>(rtt.timeout() * (1 << std::min(probes_, 4u)),
                                           std::max<Duration>(rtt.timeout(), kMaxProbeTimeout));
  return std::max({progress_at_, probed_at_, ring_[lists_[0].head].sent_at}) + wait;
}

bool SendWindow::on_probe_timeout(TimePoint now, const RttEstimator& rtt) {
  const std::optional<TimePoint> at = probe_at(rtt);
  if (!at || now < *at) return false;
  probed_at_ = now;
  ++probes_;
  ++counters_.probes;
  if (!has_lost()) mark_lost(ring_[una_].list == 0 ? una_ : lists_[0].head);  // else what is lost goes out and asks
  return true;
}

std::optional<TimePoint> SendWindow::next_timeout(const RttEstimator& rtt) const {
  if (settings_.by_time) return earliest(time_threshold_at_, probe_at(rtt));
  std::optional<TimePoint> soonest;
  for (std::uint8_t level = 0; level < kLevels; ++level) {
    if (lists_[level].size == 0) continue;
    soonest = earliest(soonest, ring_[lists_[level].head].sent_at + timeout_of_level(level, rtt.timeout()));
  }
  return soonest;
}

void SendWindow::trim() {
  if (empty()) ring_.release();
}

}  // namespace kcptun
