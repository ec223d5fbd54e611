// Streams whose last frames wait until the peer has read the data before them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "core/base/serial.h"
#include "core/base/time.h"

namespace kcptun {

/// Tracks how long each stream end has waited: first until the data before it is acknowledged, then in steps
/// while its owner expects that the peer still reads. Entries may be stale; the owner recognises them.
/// Bounds: those of the owner, which calls sweep().
class LingeringEnds {
 public:
  explicit LingeringEnds(Duration step) : step_(step) {}

  Duration step() const { return step_; }
  /// An end that has waited another step. `since`: when all data before it was acknowledged.
  struct End {
    std::uint32_t sid;
    TimePoint since;
  };

  bool empty() const { return unacknowledged_.empty() && waiting_.empty(); }
  std::size_t size() const { return unacknowledged_.size() + waiting_.size(); }
  /// `position`: the end of the data before the stream's end, in the units of handle_acknowledged(). Must not
  /// decrease.
  void add(std::uint32_t sid, std::uint32_t position) { unacknowledged_.push_back({sid, position}); }
  /// All bytes before `position` are acknowledged.
  void handle_acknowledged(TimePoint now, std::uint32_t position) {
    for (; !unacknowledged_.empty() && !serial_less(position, unacknowledged_.front().position);
         unacknowledged_.pop_front())
      waiting_.push_back({{unacknowledged_.front().sid, now}, now + step_});
  }
  std::optional<End> poll(TimePoint now) {
    if (waiting_.empty() || now < waiting_.front().due) return std::nullopt;
    const End end = waiting_.front().end;
    waiting_.pop_front();
    return end;
  }
  /// An end that was polled waits another step.
  void requeue(TimePoint now, const End& end) { waiting_.push_back({end, now + step_}); }
  std::optional<TimePoint> next_timeout() const {
    return waiting_.empty() ? std::nullopt : std::optional(waiting_.front().due);
  }
  /// Removes the streams for which `over` is true.
  template <typename Predicate>
  void sweep(Predicate over) {
    std::erase_if(unacknowledged_, [&over](const Unacknowledged& entry) { return over(entry.sid); });
    std::erase_if(waiting_, [&over](const Waiting& entry) { return over(entry.end.sid); });
  }
  void clear() {
    unacknowledged_.clear();
    waiting_.clear();
  }

 private:
  struct Unacknowledged {
    std::uint32_t sid;
    std::uint32_t position;
  };
  struct Waiting {
    End end;
    TimePoint due;
  };
  const Duration step_;
  std::deque<Unacknowledged> unacknowledged_;  // in the order of position
  std::deque<Waiting> waiting_;                // in the order of due time
};

}  // namespace kcptun
