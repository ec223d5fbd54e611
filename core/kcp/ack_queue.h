// Acknowledgements that wait to be sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/serial.h"
#include "core/kcp/packet_writer.h"

namespace kcptun {

/// A flush writes all pending acknowledgements, in one packet or in several. Each acknowledgement costs O(1)
/// however many are pending: those that una covers are skipped while the others are written. Bounded by
/// kMaxPending.
class AckQueue {
 public:
  /// Acknowledgements, 768 KiB. It is the largest window that KCP can advertise (16 bits), so that more are
  /// pending only while the socket accepts nothing; a smaller value would make the peer retransmit segments
  /// that arrived.
  static constexpr std::size_t kMaxPending = 65536;
  /// Acknowledgements in a flush that is repeated with the next one, about a packet's worth. A larger flush
  /// is not repeated: at such a rate una advances, or the peer retransmits, as soon. A larger value doubles
  /// the acknowledgement traffic of bulk transfers.
  static constexpr std::size_t kMaxRepeated = 64;

  /// kAlways: also if una covers the segment, because the peer wants to know which transmission arrived.
  enum class Urgency : std::uint8_t { kUnlessCovered, kAlways };

  bool empty() const { return pending_.empty(); }
  std::size_t size() const { return pending_.size(); }

  /// Segment `sn` arrived in a transmission with the time stamp `ts`. If the queue is full, it replaces the
  /// latest one: the peer takes its RTT sample from the last one that it receives.
  void add(std::uint32_t sn, std::uint32_t ts, Urgency urgency = Urgency::kUnlessCovered) {
    if (pending_.size() >= kMaxPending) make_room();
    if (pending_.size() >= kMaxPending) pending_.pop_back();
    pending_.push_back({sn, ts, urgency});
  }

  /// Writes as many as fit; the next call continues with the others. `segment` is an acknowledgement without
  /// sn and ts. Returns how many were written. REQUIRES: the writer has room for at least two.
  std::size_t write(PacketWriter& writer, Segment segment) {
    if (pending_.empty()) return 0;
    std::size_t count = 0;
    const auto put = [&](const Ack& ack) {
      segment.sn = ack.sn;
      segment.ts = ack.ts;
      writer.write(segment);
      ++count;
    };
    if (written_ == 0) repeat(writer, segment.una, put);
    for (; written_ < pending_.size(); ++written_) {
      // As kcp-go does: segments that una covers need no acknowledgement, but the last one carries the peer's
      // RTT sample.
      const Ack& ack = pending_[written_];
      const bool covered = serial_less(ack.sn, segment.una);
      const bool last = written_ + 1 == pending_.size();
      if (covered && !last && ack.urgency == Urgency::kUnlessCovered) continue;
      if (!writer.fits(0)) return count;
      put(ack);
      if (!covered && uncovered_.size() <= kMaxRepeated) uncovered_.push_back(ack);
    }
    end_flush();
    return count;
  }

  void trim() {
    if (pending_.empty()) pending_.shrink_to_fit();
    last_flush_ = {};
    uncovered_.shrink_to_fit();
  }

 private:
  struct Ack {
    std::uint32_t sn;
    std::uint32_t ts;
    Urgency urgency;
  };

  // A lost acknowledgement makes the peer retransmit the segment, unless una covers it soon. While a gap
  // holds una back, each flush repeats the acknowledgements of the last one; first, because kcp-go takes its
  // RTT sample from the last.
  template <typename Put>
  void repeat(PacketWriter& writer, std::uint32_t una, const Put& put) {
    for (const Ack& ack : last_flush_) {
      if (!writer.fits(kSegmentHeader)) break;  // at least one new one must fit
      if (!serial_less(ack.sn, una)) put(ack);
    }
    last_flush_.clear();
  }

  void end_flush() {
    if (uncovered_.size() <= kMaxRepeated) std::swap(last_flush_, uncovered_);
    uncovered_.clear();
    pending_.clear();
    written_ = 0;
  }

  // Removes what the current flush has written, if it is enough to be worth moving the rest.
  void make_room() {
    if (written_ < kMaxPending / 2) return;
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(written_));
    written_ = 0;
  }

  std::vector<Ack> pending_;
  std::size_t written_ = 0;  // of pending_, in the current flush
  // Of those, the ones that una did not cover; kMaxRepeated + 1 of them are too many to repeat.
  std::vector<Ack> uncovered_;
  std::vector<Ack> last_flush_;  // the same, of the last flush
};

}  // namespace kcptun
