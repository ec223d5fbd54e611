// Recognises frequent configuration errors and logs the field to check.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "config/profile.h"
#include "core/base/path.h"
#include "core/link/link.h"

namespace kcptun {

/// A kind of log line that is rate-limited.
enum class Hint : std::uint8_t {
  kMismatch,
  kOnlyRejected,
  kNoAnswer,
  kFullSize,
  kUnreadStreams,
  kMemoryPressure,
  kSessionStalled,
  kPeerStalled,
  kNotSocks5,
};
inline constexpr std::size_t kHints = 9;

/// Rate limiter of a tunnel's hints, shared by its threads. Bounds: one line of each kind per kInterval.
/// Thread-safe.
class HintLimiter {
 public:
  static constexpr Duration kInterval = seconds(600);
  /// True if the hint may be logged now. It then may not be for the next kInterval.
  bool take(Hint hint, TimePoint now);

 private:
  std::mutex mutex_;
  std::array<std::optional<TimePoint>, kHints> logged_;
};

/// Detects addresses from which no packet decrypts: the peer uses another key or cipher. Tracks the last
/// kAddresses such addresses and removes an address when a packet from it decrypts.
class RejectedPeers {
 public:
  static constexpr std::size_t kAddresses = 32;
  static constexpr std::uint32_t kThreshold = 5;  // rejected packets; line noise causes one or two

  /// True when an address reaches kThreshold rejected packets.
  bool handle_rejected(const IpEndpoint& remote, std::size_t packets);
  void handle_good(const IpEndpoint& remote);

 private:
  struct Entry {
    IpEndpoint remote;
    std::uint32_t packets = 0;
  };
  std::array<Entry, kAddresses> entries_{};
  std::size_t next_ = 0;  // the next one to replace
  std::size_t used_ = 0;
};

/// Detects a path that drops full-size packets and delivers smaller ones. The first unacknowledged segment
/// stays the same although it is retransmitted, and yet the peer acknowledges later segments, or sends new
/// segments and so receives our acknowledgements.
class FullSizeWatch {
 public:
  // Ten tail-loss probes; a path that loses all of them at random is unusable anyway.
  static constexpr Duration kAnswerTimeout = seconds(5);
  static constexpr std::uint64_t kMinRetransmissions = 5;  // retransmissions in that time
  static constexpr std::uint64_t kMinNewSegments = 2;      // new segments from the peer in that time
  static constexpr std::uint32_t kMaxExamined = 256;       // segments after the first that are examined

  /// Call with each run of packets from the peer, after they are handled. True while full-size packets are
  /// dropped.
  bool handle_run(TimePoint now, const Kcp& kcp);

 private:
  struct Baseline {  // the state when the segment became the first
    TimePoint at{};
    std::uint32_t first = 0;
    Kcp::Counters counters;
  };
  std::optional<Baseline> baseline_;
};

/// The probable configuration error behind the end of a session; names the field. Empty if it cannot be
/// determined.
std::string explain_end(const Link& link, const Profile& profile);
std::string explain_rejected(const IpEndpoint& remote, const Profile& profile);
/// `refused`: ICMP errors arrived, or in tcp mode a reset.
std::string explain_no_answer(const IpEndpoint& remote, const Profile& profile, bool refused);

std::string explain_full_size(const IpEndpoint& remote, const Profile& profile);

}  // namespace kcptun
