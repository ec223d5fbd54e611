// Mistakes that users make most, recognised and named in the log, with the field to look at.
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

/// What is said once in a while, however often it happens.
enum class Hint : std::uint8_t {
  kMismatch, kOnlyRejected, kNoAnswer, kFullSize,
  kUnreadStreams, kShortOfMemory, kStandsStill, kPeerStandsStill,
};
inline constexpr std::size_t kHints = 8;

/// What a tunnel has logged lately, on all its threads together. Bounds: one line of each kind per kQuiet. Any thread.
class HintLimiter {
 public:
  static constexpr Duration kQuiet = seconds(600);
  /// True if the hint is to be said now; then it is not for the next kQuiet.
  bool take(Hint hint, TimePoint now);

 private:
  std::mutex mutex_;
  std::array<std::optional<TimePoint>, kHints> logged_;
};

/// Whether all that comes from some address fails to open: another key or cipher is there. Remembers the last
/// kAddresses that did, and forgets one as soon as something good comes from it.
class RejectedPeers {
 public:
  static constexpr std::size_t kAddresses = 32;
  static constexpr std::uint32_t kEnough = 5;  // rejected packets; noise makes one or two

  /// True when an address has just got its kEnough-th.
  bool handle_rejected(const IpEndpoint& remote, std::size_t packets);
  void handle_good(const IpEndpoint& remote);

 private:
  struct Entry {
    IpEndpoint remote;
    std::uint32_t packets = 0;
  };
  std::array<Entry, kAddresses> entries_{};
  std::size_t next_ = 0;  // to be replaced
  std::size_t used_ = 0;
};

/// Whether packets of full size vanish on their way to a peer while smaller ones arrive. The first segment that waits for
/// its acknowledgement stays the same however often it is sent again; yet the peer acknowledges what was sent later, or
/// what it sends is new, so that it gets our acknowledgements.
class FullSizeWatch {
 public:
  static constexpr Duration kAnswerTimeout = seconds(5);   // ten tail-loss probes: no loss rate at which a tunnel is of use
  static constexpr std::uint64_t kCopies = 5;         // sent again meanwhile
  static constexpr std::uint64_t kHeard = 2;          // segments of the peer meanwhile, none of them repeated
  static constexpr std::uint32_t kLook = 256;         // segments behind the first that are looked at

  /// With each run of packets from the peer, when they are handled. True while packets of full size vanish.
  bool handle_run(TimePoint now, const Kcp& kcp);

 private:
  struct Begin {  // when the first segment became the first
    TimePoint at{};
    std::uint32_t first = 0;
    Kcp::Counters counters;
  };
  std::optional<Begin> begin_;
};

/// Why a session that is over could not work, if that can be told from it: names the field. Empty if not.
std::string explain_end(const Link& link, const Profile& profile);
std::string explain_rejected(const IpEndpoint& remote, const Profile& profile);
/// `refused`: ICMP errors came, or in tcp mode a reset.
std::string explain_no_answer(const IpEndpoint& remote, const Profile& profile, bool refused);

std::string explain_full_size(const IpEndpoint& remote, const Profile& profile);

}  // namespace kcptun
