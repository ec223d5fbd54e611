// Segments that leave again although they are not believed to be lost.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "core/kcp/scoreboard.h"

namespace kcptun {

/// Chooses segments of a scoreboard for two kinds of transmission: copies of a thin stream's segments, spread
/// over the milliseconds behind the first transmission, and duplicate retransmissions, a while after the
/// first. Whether the path has capacity for them is RedundancyPolicy's decision. A segment that is
/// acknowledged, or leaves in another transmission, has no copies pending any more.
class RedundantTransmissions {
 public:
  /// Copies of one transmission at most. The last two ride along with other packets only. With fewer, a path
  /// that loses 10 % delays one message in a thousand by a retransmission.
  static constexpr std::uint8_t kMaxCopies = 4;
  /// Between a transmission and the packets that leave for its first and its second copy. A burst of losses
  /// takes neighbours in time, so they are apart; and each message that is lost is late by as much. The
  /// second one is below 15 ms, so that a message each 20 ms never waits for the one before.
  static constexpr std::array<Duration, 2> kCopyDelays{milliseconds(5), milliseconds(12)};
  /// Between two transmissions of one segment. Lower: one burst takes both. Higher: a packet that leaves a
  /// little early carries no copy, and another one must leave for it.
  static constexpr Duration kMinCopyGap = milliseconds(4);
  /// Segments with copies pending, per number of copies; further ones have none. It bounds the memory
  /// (16 KiB). A thin session has fewer unless its messages are a few bytes long and its RTT above 100 ms.
  static constexpr std::size_t kMaxPendingCopies = 128;
  /// Transmissions between a retransmission and its duplicate: longer than most bursts of losses, so that one
  /// burst does not take both; each one delays the duplicate by a packet time.
  static constexpr std::uint64_t kDuplicateGap = 16;
  /// Retransmissions whose duplicate is pending; further ones leave once. It bounds the memory (16 KiB), and
  /// is beyond what a path with idle capacity loses at once.
  static constexpr std::size_t kMaxPendingDuplicates = 1024;

  // --- copies ---

  /// Segment `sn` left at `now` in a transmission that is to be followed by its copies.
  void add_copies(TimePoint now, std::uint32_t sn, std::uint64_t transmit_number);
  struct Request {
    std::uint8_t copies = 1;  // per segment
    std::size_t room = 0;     // data bytes
  };
  /// The segment that waits longest for a copy, and whose last transmission is kMinCopyGap old. It counts as
  /// sent.
  std::optional<std::uint32_t> take_copy(TimePoint now, const Request& request, const Scoreboard& sent);
  /// When a packet should leave for the next of `copies` copies per segment.
  std::optional<TimePoint> next_copy_at(std::uint8_t copies, const Scoreboard& sent);
  /// Forgets the copies that are due: they could not leave in time.
  void drop_due_copies(TimePoint now);
  void drop_copies() {
    for (auto& stage : copies_) stage.clear();
  }

  // --- duplicate retransmissions ---

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
    std::uint64_t transmit_number;  // of the transmission
  };
  struct PendingCopy {
    Pending of;
    TimePoint earliest;  // in a packet that leaves anyhow
    TimePoint due;       // in a packet of its own
  };
  static bool is_current(const Pending& pending, const Scoreboard& sent) {
    return sent.awaits(pending.sn) && sent[pending.sn].transmit_number == pending.transmit_number;
  }
  static void drop_outdated(std::vector<PendingCopy>& stage, const Scoreboard& sent) {
    while (!stage.empty() && !is_current(stage.front().of, sent)) stage.erase(stage.begin());
  }

  // Element i holds the segments that have had i copies, in the order in which they are due.
  std::array<std::vector<PendingCopy>, kMaxCopies> copies_;
  std::deque<Pending> pending_;
};

}  // namespace kcptun
