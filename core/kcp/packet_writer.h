// Writes segments into one packet.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/kcp/segment.h"

namespace kcptun {

/// Writes segments one after another into `out`, which has `capacity` bytes and outlives the writer.
class PacketWriter {
 public:
  PacketWriter(std::uint8_t* out, std::size_t capacity) : out_(out), capacity_(capacity) {}

  std::size_t size() const { return size_; }
  bool fits(std::size_t data) const { return size_ + kSegmentHeader + data <= capacity_; }
  /// Data bytes that the next segment may have. REQUIRES: fits(0).
  std::size_t room() const { return capacity_ - size_ - kSegmentHeader; }
  /// REQUIRES: fits(segment.data.size()).
  void write(const Segment& segment) {
    write_segment_header(out_ + size_, segment, segment.data.size());
    if (!segment.data.empty())
      std::memcpy(out_ + size_ + kSegmentHeader, segment.data.data(), segment.data.size());
    size_ += kSegmentHeader + segment.data.size();
  }

 private:
  std::uint8_t* out_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

}  // namespace kcptun
