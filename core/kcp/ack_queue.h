// Acknowledgements that wait for a flush.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/serial.h"
#include "core/kcp/packet_writer.h"

namespace kcptun {

/// O(1) for each acknowledgement, however many wait: what una covers by the time of the flush is passed over while the
/// others are written, and never searched for. Bounded by kMaxPending.
class AckQueue {
 public:
  /// More only come while the socket takes nothing; the peer then sends again.
  static constexpr std::size_t kMaxPending = 65536;
  /// A flush of more acknowledgements is not told twice: at such a rate una, or a retransmission, comes as soon.
  static constexpr std::size_t kMaxRepeated = 64;

  bool empty() const { return pending_.empty(); }
  std::size_t size() const { return pending_.size(); }

  /// Segment `sn` arrived, in the copy with the time stamp `ts`. Where there is no room it replaces the latest one: the
  /// peer takes its RTT from the last that it gets.
  void add(std::uint32_t sn, std::uint32_t ts) {
    if (pending_.size() >= kMaxPending) make_room();
    if (pending_.size() >= kMaxPending) pending_.pop_back();
    pending_.push_back({sn, ts});
  }

  /// Writes what fits; what doesn't follows with the next call. `segment` is a blank acknowledgement, whose una is all
  /// that has arrived. Returns how many were written. REQUIRES: the writer has room for two at least.
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
      // As kcp-go does: what una covers needs no segment of its own, but the last one carries the peer's RTT sample.
      const Ack& ack = pending_[written_];
      const bool covered = serial_less(ack.sn, segment.una);
      if (covered && written_ + 1 < pending_.size()) continue;
      if (!writer.fits(0)) return count;
      put(ack);
      if (!covered && uncovered_.size() <= kMaxRepeated) uncovered_.push_back(ack);
    }
    end_flush();
    return count;
  }

  void trim() {
    if (pending_.empty()) pending_.shrink_to_fit();
    told_ = {};
    uncovered_.shrink_to_fit();
  }

 private:
  struct Ack {
    std::uint32_t sn;
    std::uint32_t ts;
  };

  // An acknowledgement that is lost makes the peer send the segment again, unless una covers it soon: where una is held
  // back, the last flush's acknowledgements go with this one's. Before them, because kcp-go takes its RTT from the last.
  template <typename Put>
  void repeat(PacketWriter& writer, std::uint32_t una, const Put& put) {
    for (const Ack& ack : told_) {
      if (!writer.fits(kSegmentHeader)) break;  // one of the new ones must fit
      if (!serial_less(ack.sn, una)) put(ack);
    }
    told_.clear();
  }

  void end_flush() {
    if (uncovered_.size() <= kMaxRepeated) std::swap(told_, uncovered_);
    uncovered_.clear();
    pending_.clear();
    written_ = 0;
  }

  // What a flush has written so far, if that is worth moving the rest.
  void make_room() {
    if (written_ < kMaxPending / 2) return;
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(written_));
    written_ = 0;
  }

  std::vector<Ack> pending_;
  std::size_t written_ = 0;     // of pending_, in the flush that is going on
  std::vector<Ack> uncovered_;  // of those, what una did not cover; one more than kMaxRepeated: too many
  std::vector<Ack> told_;       // the same, of the last flush
};

}  // namespace kcptun
