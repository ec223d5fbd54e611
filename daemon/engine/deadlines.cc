#include "daemon/engine/deadlines.h"

#include <utility>

namespace kcptun {

void DeadlineHeap::put(std::size_t index, Entry entry) {
  heap_[index] = entry;
  entry.deadline->heap_index_ = index;
}

void DeadlineHeap::sift_up(std::size_t index) {
  const Entry entry = heap_[index];
  const std::size_t from = index;
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent].at <= entry.at) break;
    put(index, heap_[parent]);
    index = parent;
  }
  if (index != from) put(index, entry);
}

void DeadlineHeap::sift_down(std::size_t index) {
  const Entry entry = heap_[index];
  const std::size_t from = index;
  for (std::size_t child = 2 * index + 1; child < heap_.size(); child = 2 * index + 1) {
    if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
    if (entry.at <= heap_[child].at) break;
    put(index, heap_[child]);
    index = child;
  }
  if (index != from) put(index, entry);
}

void DeadlineHeap::set(Deadline& deadline, std::optional<TimePoint> at) {
  if (!at) {
    if (deadline.heap_index_ == Deadline::kNotInHeap) return;
    const std::size_t index = std::exchange(deadline.heap_index_, Deadline::kNotInHeap);
    const Entry last = heap_.back();
    heap_.pop_back();
    if (last.deadline == &deadline) return;
    put(index, last);
    sift_up(index);
    sift_down(last.deadline->heap_index_);
    return;
  }
  if (deadline.heap_index_ == Deadline::kNotInHeap) {
    deadline.heap_index_ = heap_.size();
    heap_.push_back({*at, &deadline});
  } else {
    heap_[deadline.heap_index_].at = *at;
  }
  sift_up(deadline.heap_index_);
  sift_down(deadline.heap_index_);
}

std::optional<TimePoint> DeadlineHeap::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().at;
}

void DeadlineHeap::run(TimePoint now) {
  while (!heap_.empty() && heap_.front().at <= now) {
    Deadline& deadline = *heap_.front().deadline;
    set(deadline, std::nullopt);
    deadline.handle_deadline(now);
  }
}

}  // namespace kcptun
