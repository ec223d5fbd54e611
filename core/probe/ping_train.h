// Numbered pings to any kcptun server over a separate session: measures RTT and the loss in each direction.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/kcp/segment.h"
#include "core/probe/reply_count.h"

namespace kcptun {

/// Ping i, from 1 on, is a packet of several PUSH segments without data, with sn and ts i. sn 0 is withheld,
/// so that nothing reaches the server's smux layer, and the server acknowledges each copy with its ts
/// (docs/develop/protocol.md section 5: only segments covered by una may go unacknowledged). Acknowledgements
/// give the RTT and the pings that arrived. A ping without one was lost in one of the two directions. To find
/// out which, sn 0 is sent at the end, then each sn at which una stops. If una passes a ping without a
/// retransmission, the ping had arrived and its acknowledgement was lost. If una stops at a ping, the ping
/// was lost.
///
/// Sans-I/O: write_*() fill packet bodies to encrypt and send immediately; handle() takes decrypted bodies.
class PingTrain {
 public:
  /// Segments per ping. More than one makes a server that batches acknowledgements send more packets to
  /// count.
  static constexpr std::uint32_t kCopies = 8;
  static constexpr std::size_t kPingBody = kCopies * kSegmentHeader;
  /// In segments. The smallest window assumed before the server has advertised one.
  static constexpr std::uint32_t kFirstWindow = 32;

  /// REQUIRES: 1 <= pings, and pings < the server's receive window.
  PingTrain(std::uint32_t conv, std::uint32_t pings);

  bool pings_left() const { return sent_.size() <= pings_; }
  /// Writes the next ping. REQUIRES: pings_left(), kPingBody bytes at `out`. Returns the body's size.
  std::size_t write_ping(TimePoint now, std::uint8_t* out);
  /// Call it after the last ping has had time to return. Writes the segment at una and returns its size, or
  /// returns 0 if una has passed all pings. Repeat it until una advances.
  /// REQUIRES: kSegmentHeader bytes at `out`.
  std::size_t write_gap_segment(std::uint8_t* out);
  void handle(TimePoint now, Bytes body);

  bool heard() const { return replies_ > 0; }
  std::uint32_t una() const { return una_; }
  bool resolved() const { return una_ > pings_; }
  /// The largest window that the server advertised, in segments; 0 before that.
  std::uint32_t window() const { return window_; }
  std::uint32_t sent() const { return static_cast<std::uint32_t>(sent_.size() - 1); }

  /// One sample per reply, or per burst of replies: of the ping in it that was sent last. A server that
  /// delays acknowledgements to its own clock then adds at most the interval between two pings.
  std::vector<Duration> round_trips() const;
  /// Pings lost towards the server, among those whose outcome is known.
  LossCount up() const;
  /// Packets lost towards this end: by the server's packet numbers if it has any, else by the missing
  /// acknowledgements.
  LossCount down() const;
  std::optional<FecSettings> server_shards() const { return count_.shards(); }

 private:
  struct Sample {
    std::uint32_t ping = 0;
    TimePoint at{};
  };
  void handle_segment(const Segment& segment, std::uint32_t& newest);
  void handle_una(std::uint32_t una);

  const std::uint32_t conv_;
  const std::uint32_t pings_;
  std::vector<TimePoint> sent_{TimePoint{}};  // by ping; [0] is the withheld sn 0
  std::vector<bool> acked_;                   // by ping
  std::vector<bool> lost_;                    // by ping: una stopped there
  std::vector<Sample> samples_;
  std::uint32_t una_ = 0;
  std::uint32_t window_ = 0;
  std::uint64_t replies_ = 0;  // packets that acknowledge pings
  ReplyCount count_;
};

}  // namespace kcptun
