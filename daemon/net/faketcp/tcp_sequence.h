// The sequence numbers of a fake TCP connection. Middleboxes (NAT, connection tracking) check them. The
// datagrams do not depend on them: nothing is retransmitted and a gap is never filled.
#pragma once

#include <cstdint>

#include "daemon/net/faketcp/tcp_segment.h"

namespace kcptun {

class TcpSequence {
 public:
  /// Maximum distance, in bytes, between the segments sent and the peer's acknowledgment. kcptun acknowledges
  /// up to the first gap and then no further. Rewinding to the acknowledged position keeps both ends inside
  /// the window that a connection tracker allows.
  static constexpr std::int32_t kMaxAhead = 1 << 20;
  /// Maximum advance, in bytes, of the acknowledgment by one segment. A segment beyond it is forged.
  static constexpr std::int32_t kMaxJump = 8 << 20;

  /// `next`: sequence number of the next byte to send. `expected`: of the next byte to receive.
  TcpSequence(std::uint32_t next, std::uint32_t expected) : next_(next), expected_(expected) {}

  /// Returns the sequence number for a segment of `size` bytes that is about to be sent.
  std::uint32_t take(std::uint32_t size) {
    const std::uint32_t sequence = next_;
    next_ += size;
    return sequence;
  }
  /// Undoes take() for the last segment, which was not sent.
  void undo_take(std::uint32_t size) { next_ -= size; }

  /// Acknowledges everything up to the highest end of a received segment.
  std::uint32_t acknowledgment() const { return expected_; }

  /// Processes a received segment with payload.
  void handle(const TcpSegment& segment) {
    if ((segment.flags & kTcpAck) && static_cast<std::int32_t>(next_ - segment.acknowledgment) > kMaxAhead)
      next_ = segment.acknowledgment;
    const std::uint32_t end = segment.sequence + static_cast<std::uint32_t>(segment.payload.size());
    const auto jump = static_cast<std::int32_t>(end - expected_);
    if (jump > 0 && jump <= kMaxJump) expected_ = end;
  }

  /// True for a reset whose sequence number is exactly the next one (RFC 5961 section 3.2). A host without
  /// the connection copies that number from the acknowledgment of the segment it rejects.
  bool is_ended_by(const TcpSegment& segment) const {
    return (segment.flags & kTcpRst) && segment.sequence == expected_;
  }

 private:
  std::uint32_t next_;
  std::uint32_t expected_;
};

}  // namespace kcptun
