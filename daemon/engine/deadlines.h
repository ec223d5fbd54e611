// Many deadlines on one timer: a binary heap whose entries store their index.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/time.h"

namespace kcptun {

/// An object with a deadline. It belongs to its owner and leaves the heap before it is destroyed.
class Deadline {
 public:
  virtual ~Deadline() = default;
  /// The deadline has passed and is no longer in the heap.
  virtual void handle_deadline(TimePoint now) = 0;

 private:
  friend class DeadlineHeap;
  static constexpr std::size_t kNotInHeap = static_cast<std::size_t>(-1);
  std::size_t heap_index_ = kNotInHeap;
};

/// Single-threaded; one per engine. Owns no deadline and makes no system call.
class DeadlineHeap {
 public:
  /// Sets, moves or (nullopt) removes the entry's deadline. O(log n).
  void set(Deadline& entry, std::optional<TimePoint> at);
  std::optional<TimePoint> next() const;
  /// Removes all deadlines that have passed and calls their handlers.
  void run(TimePoint now);
  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    // Stored here, not in the Deadline: the comparisons then stay within the heap's cache lines.
    TimePoint at;
    Deadline* deadline;
  };
  void put(std::size_t index, Entry entry);
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);
  std::vector<Entry> heap_;
};

}  // namespace kcptun
