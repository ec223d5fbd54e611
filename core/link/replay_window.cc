#include "core/link/replay_window.h"

#include <algorithm>

#include "core/base/check.h"

namespace kcptun {

bool ReplayWindow::fresh(std::uint64_t number) const {
  if (number >= end_) return true;
  if (end_ - number > kSpan) return false;
  return (seen_[word_of(number)] >> number % 64 & 1) == 0;
}

void ReplayWindow::mark(std::uint64_t number) {
  KCPTUN_CHECK(fresh(number));
  if (number >= end_) {
    // Words that are entered again hold bits of the round before. kSpan leaves out one word, so no bit that
    // is cleared is still within the span.
    const std::uint64_t last = end_ == 0 ? 0 : (end_ - 1) / 64;
    const std::uint64_t words = std::min<std::uint64_t>(number / 64 - last, kWords);
    for (std::uint64_t i = 0; i < words; ++i) seen_[static_cast<std::size_t>((number / 64 - i) % kWords)] = 0;
    end_ = number + 1;
  }
  constexpr std::uint64_t kBit = 1;
  seen_[word_of(number)] |= kBit << number % 64;
}

}  // namespace kcptun
