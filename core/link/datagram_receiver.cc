#include "core/link/datagram_receiver.h"

#include <utility>

#include "core/base/serial.h"

namespace kcptun {

// The number nearest to the newest one that has this sequence as its low 32 bits.
std::optional<std::uint64_t> DatagramReceiver::packet_number(std::uint32_t sequence) const {
  const std::uint64_t end = window_.end();
  const std::int64_t distance = serial_diff(sequence, static_cast<std::uint32_t>(end));
  if (distance < 0 && end < static_cast<std::uint64_t>(-distance)) return std::nullopt;
  return end + static_cast<std::uint64_t>(distance);
}

bool DatagramReceiver::is_newest(Bytes body) const {
  if (datagram_conv(body) != conv_) return false;
  const std::optional<std::uint64_t> number = packet_number(datagram_sequence(body));
  return number && window_.newest(*number);
}

void DatagramReceiver::handle_packet(TimePoint now, MutableBytes body) {
  if (datagram_conv(body) != conv_) {
    ++counters_.malformed;
    return;
  }
  const std::optional<std::uint64_t> number = packet_number(datagram_sequence(body));
  if (!number || !window_.fresh(*number)) {
    ++counters_.repeated;
    return;
  }
  window_.mark(*number);
  ++counters_.packets;
  for (MutableBytes records = body.subspan(kDatagramHeader); !records.empty();) {
    const std::optional<DatagramRecord> record = take_record(records);
    if (!record) {
      ++counters_.malformed;
      return;
    }
    handle_record(now, *record);
  }
}

void DatagramReceiver::handle_record(TimePoint now, const DatagramRecord& record) {
  if (pending_.size() >= kMaxPending) {
    ++counters_.overflowed;
    return;
  }
  if (!record.fragment) {
    pending_.push_back({record.sid, record.payload});
    return;
  }
  if (auto whole = reassembler_.add(now, record)) {
    whole_.push_back(std::move(*whole));
    pending_.push_back({record.sid, whole_.back()});
  }
}

std::optional<FlowDatagram> DatagramReceiver::poll() {
  if (polled_ == pending_.size()) {
    pending_.clear();
    polled_ = 0;
    return std::nullopt;
  }
  const FlowDatagram& next = pending_[polled_++];
  ++counters_.datagrams;
  counters_.bytes += next.bytes.size();
  return next;
}

void DatagramReceiver::release_views() {
  pending_.clear();
  polled_ = 0;
  whole_.clear();
}

}  // namespace kcptun
