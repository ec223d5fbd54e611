// The largest of the values of late.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/time.h"

namespace kcptun {

/// The maximum over the last `rounds` round trips, and over `shortest` at least, in O(1): the three best
/// candidates, each later than the one before (Nichols' windowed filter, as BBR has it).
template <typename Value>
class WindowedMax {
 public:
  WindowedMax(std::uint64_t rounds, Duration shortest) : rounds_(rounds), shortest_(shortest) {}

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
           (now.at - entry.at) * denominator > shortest_ * numerator;
  }

  std::uint64_t rounds_;
  Duration shortest_;
  std::array<Entry, 3> best_{};
};

}  // namespace kcptun
