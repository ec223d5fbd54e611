// Whether a session is saturated: new streams would stand behind bulk data in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace kcptun {

/// Watches what the streams of one session move, in both directions. The session is saturated
/// * once streams have had input that the full window did not admit for kWaitingTime without a break, or
/// * for kHoldTime after an open stream has moved bulk data: kBulkBytes in an interval of kInterval two
///   intervals or more after the first such interval, with gaps of kMaxGap intervals at most.
/// The first rule finds bulk that this end sends, on slow paths too. The second finds bulk that the peer
/// sends: no peer reports its queue. Sans-I/O; the caller drives it with what it moves.
class SaturationMonitor {
 public:
  /// Time. Shorter: one burst that fills the window counts. Longer: streams that open meanwhile stand behind
  /// the bulk.
  static constexpr Duration kWaitingTime = milliseconds(200);
  static constexpr Duration kInterval = milliseconds(100);
  /// Bytes of one stream in one interval: 1.3 Mbit/s. Lower: interactive streams and voice count as bulk.
  /// Higher: bulk that the peer sends on slow paths is not found.
  static constexpr std::uint64_t kBulkBytes = 16 * 1024;
  /// Intervals. A lost packet interrupts a bulk stream for a round trip or two. Higher: a page that is loaded
  /// in several bursts counts as bulk.
  static constexpr std::int64_t kMaxGap = 3;
  /// Time. Bulk transfers pause; shorter: new streams join a session whose bulk goes on a moment later.
  static constexpr Duration kHoldTime = seconds(1);

  /// What one stream moved lately. Its owner embeds it.
  struct StreamLoad {
    std::int64_t interval = 0;                    // the number of the interval that `bytes` belong to
    std::uint64_t bytes = 0;                      // moved in it
    std::optional<std::int64_t> bulk_interval{};  // the last interval with kBulkBytes
    std::optional<std::int64_t> earlier_bulk{};   // the first of its run
  };

  /// A stream moved `bytes`, in either direction.
  void record(TimePoint now, StreamLoad& stream, std::uint64_t bytes);
  /// The stream is over: what it moved does not count any more.
  void forget(const StreamLoad& stream);
  /// The session had its turn: `waiting` streams have input that was not admitted.
  void record_waiting(TimePoint now, std::size_t waiting);

  bool saturated(TimePoint now) const;

 private:
  std::optional<TimePoint> waiting_since_;
  std::optional<TimePoint> bulk_until_;
  const StreamLoad* bulk_stream_ = nullptr;  // the stream that set it last
};

}  // namespace kcptun
