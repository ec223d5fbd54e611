// Segments that leave again although they are not believed to be lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "core/base/time.h"
#include "core/kcp/scoreboard.h"

namespace kcptun {

/// Chooses segments of a scoreboard for two kinds of transmission: redundant transmissions of a thin stream's
/// small segments, in packets that leave anyhow, and duplicate retransmissions, a while after the first.
/// Whether the path has capacity for them is RedundancyPolicy's decision.
class RedundantTransmissions {
 public:
  /// A stream is thin while no more segments are in flight. Also the number of segments that one choice looks
  /// at. Larger values spend more time per packet on streams that acknowledgements of later segments repair
  /// as fast.
  static constexpr std::uint32_t kThinSegments = 16;
  /// Redundant transmissions of one transmission. With more, an outage fills each packet with the same
  /// segments.
  static constexpr std::uint8_t kMaxCopies = 3;
  /// Transmissions between a retransmission and its duplicate: longer than most bursts of losses, so that one
  /// burst does not take both; each one delays the duplicate by a packet time.
  static constexpr std::uint64_t kDuplicateGap = 16;
  /// Retransmissions whose duplicate is pending; further ones leave once. It bounds the memory (16 KiB), and
  /// is beyond what a path with idle capacity loses at once.
  static constexpr std::size_t kMaxPendingDuplicates = 1024;

  struct Request {
    std::uint8_t copies = 1;   // redundant transmissions per segment, in packets of different moments
    Duration overdue{0};       // a segment of which nothing was heard for longer gets one more
    std::size_t room = 0;      // data bytes
    std::uint64_t before = 0;  // segments with this transmit number or a later one are in the packet already
  };
  /// The segment in flight that is worth a redundant transmission and has had the fewest.
  std::optional<std::uint32_t> choose(TimePoint now, const Request& request, const Scoreboard& sent) const;

  /// A retransmission left that is to be followed by its duplicate.
  void add_duplicate(std::uint32_t sn, std::uint64_t transmit_number);
  bool has_duplicates() const { return !pending_.empty(); }
  /// kNow: nothing else waits to be sent, so that the gap has no purpose.
  enum class Gap : std::uint8_t { kKeep, kNow };
  /// The next segment whose duplicate is due and has `room` data bytes at most. Drops duplicates of segments
  /// that have been acknowledged or retransmitted since.
  std::optional<std::uint32_t> take_duplicate(Gap gap, std::size_t room, const Scoreboard& sent);

 private:
  struct Pending {
    std::uint32_t sn;
    std::uint64_t transmit_number;  // of the retransmission
  };
  std::deque<Pending> pending_;
};

}  // namespace kcptun
