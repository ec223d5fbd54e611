// The sequence numbers of a disguised TCP connection. They are for whoever watches on the way (NAT,
// connection tracking): the datagrams do not depend on them, nothing is sent again, and a hole is never
// filled.
#pragma once

#include <cstdint>

#include "daemon/net/faketcp/tcp_segment.h"

namespace kcptun {

class TcpSequence {
 public:
  /// How far ahead of what the peer acknowledges this side numbers its segments. kcptun acknowledges up to
  /// the first hole and then stands still for ever; going back to where it stands lets it go on, and keeps
  /// both inside the window that a connection tracker allows.
  static constexpr std::int32_t kMaxAhead = 1 << 20;
  /// How far a segment may take the acknowledgement on at once: one that claims more is numbered by a
  /// stranger.
  static constexpr std::int32_t kMaxJump = 8 << 20;

  /// `next`: of the first byte to send; `expected`: of the first byte to receive.
  TcpSequence(std::uint32_t next, std::uint32_t expected) : next_(next), expected_(expected) {}

  /// The number of a segment of `size` bytes that is about to be sent.
  std::uint32_t take(std::uint32_t size) {
    const std::uint32_t sequence = next_;
    next_ += size;
    return sequence;
  }
  /// The last segment taken was not sent after all.
  void give_back(std::uint32_t size) { next_ -= size; }

  /// Everything up to the end of the furthest segment counts as received.
  std::uint32_t acknowledgment() const { return expected_; }

  /// A segment with payload has arrived.
  void handle(const TcpSegment& segment) {
    if ((segment.flags & kTcpAck) && static_cast<std::int32_t>(next_ - segment.acknowledgment) > kMaxAhead)
      next_ = segment.acknowledgment;
    const std::uint32_t end = segment.sequence + static_cast<std::uint32_t>(segment.payload.size());
    const auto jump = static_cast<std::int32_t>(end - expected_);
    if (jump > 0 && jump <= kMaxJump) expected_ = end;
  }

  /// True for a reset by somebody who knows the very next number (RFC 5961 section 3.2): a host that does not
  /// know the connection takes it from what it was sent.
  bool is_ended_by(const TcpSegment& segment) const {
    return (segment.flags & kTcpRst) && segment.sequence == expected_;
  }

 private:
  std::uint32_t next_;
  std::uint32_t expected_;
};

}  // namespace kcptun
