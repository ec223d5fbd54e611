#include "daemon/loop/deadlines.h"

#include <utility>

namespace kcptun {

void DeadlineHeap::place(std::size_t index, Deadline* entry) {
  heap_[index] = entry;
  entry->place_ = index;
}

void DeadlineHeap::sift_up(std::size_t index) {
  Deadline* entry = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->at_ <= entry->at_) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void DeadlineHeap::sift_down(std::size_t index) {
  Deadline* entry = heap_[index];
  for (std::size_t child = 2 * index + 1; child < heap_.size(); child = 2 * index + 1) {
    if (child + 1 < heap_.size() && heap_[child + 1]->at_ < heap_[child]->at_) ++child;
    if (entry->at_ <= heap_[child]->at_) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, entry);
}

void DeadlineHeap::set(Deadline& entry, std::optional<TimePoint> at) {
  if (!at) {
    if (entry.place_ == Deadline::kNowhere) return;
    const std::size_t index = std::exchange(entry.place_, Deadline::kNowhere);
    Deadline* last = heap_.back();
    heap_.pop_back();
    if (last == &entry) return;
    place(index, last);
    sift_up(index);
    sift_down(last->place_);
    return;
  }
  entry.at_ = *at;
  if (entry.place_ == Deadline::kNowhere) {
    heap_.push_back(&entry);
    entry.place_ = heap_.size() - 1;
  }
  sift_up(entry.place_);
  sift_down(entry.place_);
}

std::optional<TimePoint> DeadlineHeap::soonest() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->at_;
}

void DeadlineHeap::run(TimePoint now) {
  while (!heap_.empty() && heap_.front()->at_ <= now) {
    Deadline* entry = heap_.front();
    set(*entry, std::nullopt);
    entry->handle_deadline(now);
  }
}

}  // namespace kcptun
