// The maximum of the recent values.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/time.h"

namespace kcptun {

/// The maximum over the last `rounds` round trips, and over the time `min_age` at least, in O(1): the three
/// best candidates, each later than the one before (Kathleen Nichols' windowed filter; draft-ietf-ccwg-bbr
/// cites it).
template <typename Value>
class WindowedMax {
 public:
  WindowedMax(std::uint64_t rounds, Duration min_age) : rounds_(rounds), min_age_(min_age) {}

  Value value() const { return best_[0].value; }
  void update(Value value, std::uint64_t round, TimePoint now) {
    const Entry entry{value, round, now};
    if (value >= best_[0].value || old(best_[2], entry, 1, 1)) {
      best_.fill(entry);
      return;
    }
    if (value >= best_[1].value) {
      best_[1] = best_[2] = entry;
    } else if (value >= best_[2].value) {
      best_[2] = entry;
    }
    if (old(best_[0], entry, 1, 1)) {
      best_[0] = best_[1];
      best_[1] = best_[2];
      best_[2] = entry;
      if (old(best_[0], entry, 1, 1)) {
        best_[0] = best_[1];
        best_[1] = best_[2];
      }
    } else if (best_[1].round == best_[0].round && old(best_[1], entry, 1, 4)) {
      best_[1] = best_[2] = entry;
    } else if (best_[2].round == best_[1].round && old(best_[2], entry, 1, 2)) {
      best_[2] = entry;
    }
  }

 private:
  struct Entry {
    Value value{};
    std::uint64_t round = 0;
    TimePoint at{};
  };
  // Older than the share numerator / denominator of the window.
  bool old(const Entry& entry, const Entry& now, int numerator, int denominator) const {
    return (now.round - entry.round) * denominator > rounds_ * numerator &&
           (now.at - entry.at) * denominator > min_age_ * numerator;
  }

  std::uint64_t rounds_;
  Duration min_age_;
  std::array<Entry, 3> best_{};
};

}  // namespace kcptun
