#include "core/link/datagram_queue.h"

#include <algorithm>
#include <cstring>

namespace kcptun {

// --- the queue ---

bool DatagramQueue::add(TimePoint now, std::uint32_t sid, Bytes address, Bytes payload) {
  const std::size_t size = address.size() + payload.size();
  if (size > kMaxFlowDatagram) {
    ++counters_.oversize;
    return false;
  }
  drop_late(now);
  if (bytes() + size > kMaxBytes || waiting_.size() >= kMaxDatagrams) {
    ++counters_.overflowed;
    return false;
  }
  waiting_.push_back({now, sid, static_cast<std::uint32_t>(size)});
  bytes_.insert(bytes_.end(), address.begin(), address.end());
  bytes_.insert(bytes_.end(), payload.begin(), payload.end());
  return true;
}

void DatagramQueue::pop_front() {
  progress_.reset();
  begin_ += waiting_.front().size;
  waiting_.pop_front();
  if (waiting_.empty()) {
    bytes_.clear();
    begin_ = 0;
  } else if (begin_ >= kMaxBytes) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
}

void DatagramQueue::trim() {
  if (!waiting_.empty()) return;
  bytes_.shrink_to_fit();
  waiting_.shrink_to_fit();
}

// A datagram whose first fragments have left goes on while the peer keeps them.
TimePoint DatagramQueue::late_at() const {
  return waiting_.front().since + (progress_ ? DatagramReassembler::kMaxAge : kMaxAge);
}

void DatagramQueue::drop_late(TimePoint now) {
  while (!waiting_.empty() && late_at() <= now) {
    ++counters_.late;
    pop_front();
  }
}

std::optional<TimePoint> DatagramQueue::next_timeout() const {
  if (waiting_.empty()) return std::nullopt;
  return earliest(share_ready_at_, late_at());
}

// --- packets ---

bool DatagramQueue::may_send(TimePoint now) {
  using Streams = DatagramShare::Streams;
  share_ready_at_.reset();
  const bool room = kcp_.send_window().empty() || kcp_.path_has_room();
  if (share_.allows(now, room ? Streams::kLeaveRoom : Streams::kFillPath)) return true;
  share_ready_at_ = share_.ready_at();
  return false;
}

PacketSource::Polled DatagramQueue::poll_packet(TimePoint now, MutableBytes room) {
  drop_late(now);
  if (waiting_.empty() || !may_send(now)) return {};
  const std::size_t limit = packet_limit();
  room = room.first(std::min(room.size(), limit));
  if (room.size() <= kDatagramHeader) return {};
  std::size_t size = kDatagramHeader;
  while (!waiting_.empty()) {
    if (!progress_ && !begin_fragments(limit)) continue;
    const MutableBytes rest = room.subspan(size);
    const std::size_t written = progress_ ? write_fragment(rest) : write_whole(rest);
    if (written == 0) break;
    size += written;
  }
  if (size == kDatagramHeader) return {};
  write_datagram_header(room.data(), kcp_.conv(), next_sequence_++);
  ++counters_.packets;
  share_.charge(size);
  return {size};
}

// Splits the datagram at the front if a packet of `limit` bytes cannot hold it. False if that is impossible,
// or no longer possible because packets have become smaller: it was dropped.
bool DatagramQueue::begin_fragments(std::size_t limit) {
  const std::size_t size = waiting_.front().size;
  if (kDatagramHeader + kRecordHeader + size <= limit) return true;
  constexpr std::size_t kHeaders = kDatagramHeader + kRecordHeader + kFragmentHeader;
  const std::size_t most = limit > kHeaders ? limit - kHeaders : 0;
  if (most * kMaxFragments < size) {
    ++counters_.oversize;
    pop_front();
    return false;
  }
  const std::size_t chunk = (size + (size + most - 1) / most - 1) / ((size + most - 1) / most);
  const auto count = static_cast<std::uint8_t>((size + chunk - 1) / chunk);
  progress_ = Progress{{next_id_++, 0, count, static_cast<std::uint32_t>(size)}};
  return true;
}

std::size_t DatagramQueue::write_whole(MutableBytes room) {
  const Waiting& front = waiting_.front();
  if (kRecordHeader + front.size > room.size()) return 0;
  const std::size_t header = write_record_header(room.data(), front.sid, front.size, std::nullopt);
  const Bytes payload = front_bytes();
  if (!payload.empty()) std::memcpy(room.data() + header, payload.data(), payload.size());
  ++counters_.datagrams;
  counters_.bytes += payload.size();
  pop_front();
  return header + payload.size();
}

std::size_t DatagramQueue::write_fragment(MutableBytes room) {
  Fragment& next = progress_->next;
  const std::size_t length = next.length();
  if (kRecordHeader + kFragmentHeader + length > room.size()) {
    // A packet can no longer hold a fragment, because the path takes smaller ones now.
    if (kDatagramHeader + kRecordHeader + kFragmentHeader + length > packet_limit()) {
      ++counters_.oversize;
      pop_front();
    }
    return 0;
  }
  const std::size_t header = write_record_header(room.data(), waiting_.front().sid, length, next);
  std::memcpy(room.data() + header, front_bytes().data() + next.offset(), length);
  if (++next.index == next.count) {
    ++counters_.datagrams;
    counters_.bytes += next.size;
    pop_front();
  }
  return header + length;
}

}  // namespace kcptun
