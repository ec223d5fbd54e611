// Many deadlines, one timer: a binary heap whose entries know their place.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/time.h"

namespace kcptun {

/// Something that wants to be woken. Belongs to its owner; leaves the heap before it dies.
class Deadline {
 public:
  virtual ~Deadline() = default;
  /// The time came; the deadline is out of the heap.
  virtual void handle_deadline(TimePoint now) = 0;

 private:
  friend class DeadlineHeap;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  std::size_t place_ = kNowhere;
};

class DeadlineHeap {
 public:
  /// Sets, moves or (none) takes back the entry's deadline. O(log n).
  void set(Deadline& entry, std::optional<TimePoint> at);
  std::optional<TimePoint> soonest() const;
  /// Takes out and wakes all that are due.
  void run(TimePoint now);
  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    TimePoint at;  // here, not in the deadline: thousands of those are in no cache
    Deadline* deadline;
  };
  void place(std::size_t index, Entry entry);
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);
  std::vector<Entry> heap_;
};

}  // namespace kcptun
