// The largest datagram that a path carries, found by a few rounds of padded packets.
#pragma once

#include <cstdint>
#include <vector>

namespace kcptun {

/// Each round asks for several sizes at once; what was answered is a lower bound, and the next size above the
/// largest answered one an upper bound. With each size sent kCopies times, loss hardly ever looks like a
/// limit.
class MtuSearch {
 public:
  static constexpr std::uint32_t kCopies = 5;
  static constexpr std::uint32_t kSizes = 12;  // per round

  /// Sizes of UDP payload. `least` is known to pass.
  MtuSearch(std::uint32_t least, std::uint32_t most);

  /// Sizes of this round, ascending, each to be sent kCopies times; empty when the answer is known.
  const std::vector<std::uint32_t>& sizes() const { return sizes_; }
  void handle_answer(std::uint32_t size);
  /// Every answer of this round has had its time.
  void finish_round();

  std::uint32_t largest() const { return passed_; }
  /// True when nothing larger than `most` was allowed to be tried, and that passed.
  bool unlimited() const { return passed_ == most_; }

 private:
  void plan();

  const std::uint32_t most_;
  std::uint32_t passed_;
  std::uint32_t failed_;  // smallest size that did not pass
  std::vector<std::uint32_t> sizes_;
};

}  // namespace kcptun
