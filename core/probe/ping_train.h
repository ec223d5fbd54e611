// Numbered pings to any kcptun server, over one conversation of their own: round-trip times, and the loss of
// each way.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/kcp/segment.h"
#include "core/probe/reply_count.h"

namespace kcptun {

/// Ping i is a packet of a few PUSH segments without data, with sn and ts i; i is from 1 on. sn 0 is held
/// back, so nothing reaches the server's multiplexer, and the server acknowledges each copy with its ts
/// (docs/protocol.md section 5: only what una covers may be left out). That gives the round trips, and the
/// pings that surely arrived. What has no acknowledgement was lost on one way or the other: afterwards sn 0
/// is sent, then each sn at which una stops. What una passes by itself had arrived, and its acknowledgement
/// was lost; where it stops, the ping was.
///
/// Sans-I/O: write_*() fill packet bodies to be sealed and sent at once, handle() takes opened bodies.
class PingTrain {
 public:
  /// Segments in one ping: makes a server that gathers acknowledgements send more packets to count.
  static constexpr std::uint32_t kCopies = 8;
  static constexpr std::size_t kPingBody = kCopies * kSegmentHeader;
  /// The smallest window that a server may be expected to have before it has told.
  static constexpr std::uint32_t kFirstWindow = 32;

  /// REQUIRES: 1 <= pings, and pings < the server's receive window.
  PingTrain(std::uint32_t conv, std::uint32_t pings);

  bool pings_left() const { return sent_.size() <= pings_; }
  /// The next ping. REQUIRES: pings_left(), kPingBody bytes at `out`. Returns the body's size.
  std::size_t write_ping(TimePoint now, std::uint8_t* out);
  /// After the last ping has had time to come back: the segment at which una stands; its body's size, or 0
  /// when una has passed all. To be sent again until una moves. REQUIRES: kSegmentHeader bytes at `out`.
  std::size_t write_fill(std::uint8_t* out);
  void handle(TimePoint now, Bytes body);

  bool heard() const { return replies_ > 0; }
  std::uint32_t una() const { return una_; }
  bool resolved() const { return una_ > pings_; }
  /// The largest window that the server told of, in segments; 0 before.
  std::uint32_t window() const { return window_; }
  std::uint32_t sent() const { return static_cast<std::uint32_t>(sent_.size() - 1); }

  /// One sample per reply, or per burst of replies: of the ping in it that left last, so that a server which
  /// acknowledges on its own clock adds no more than the time between two pings.
  std::vector<Duration> round_trips() const;
  /// Pings lost on their way to the server, of those whose fate is known.
  LossCount up() const;
  /// Packets lost on their way back: by the server's numbers, else by the pings whose acknowledgement is
  /// missing.
  LossCount down() const;
  std::optional<FecSettings> server_shards() const { return count_.shards(); }

 private:
  struct Sample {
    std::uint32_t ping = 0;
    TimePoint at{};
  };
  void handle_segment(const Segment& segment, std::uint32_t& newest);
  void learn_una(std::uint32_t una);

  const std::uint32_t conv_;
  const std::uint32_t pings_;
  std::vector<TimePoint> sent_{TimePoint{}};  // by ping; [0] is the hole
  std::vector<bool> acked_;                   // by ping
  std::vector<bool> lost_;                    // by ping: una stood there
  std::vector<Sample> samples_;
  std::uint32_t una_ = 0;
  std::uint32_t window_ = 0;
  std::uint64_t replies_ = 0;  // packets with acknowledgements of pings
  ReplyCount count_;
};

}  // namespace kcptun
