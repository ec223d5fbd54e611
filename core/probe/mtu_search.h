// Finds the largest datagram that a path carries, in a few rounds of padded packets.
#pragma once

#include <cstdint>
#include <vector>

namespace kcptun {

/// Each round probes several sizes at once. The largest answered size is a lower bound, and the next larger
/// probed size is an upper bound. Each size is sent kCopies times, so that random loss is rarely taken for a
/// limit.
class MtuSearch {
 public:
  static constexpr std::uint32_t kCopies = 5;
  static constexpr std::uint32_t kSizes = 12;  // per round

  /// Sizes of UDP payload, in bytes. `min` is known to pass.
  MtuSearch(std::uint32_t min, std::uint32_t max);

  /// Sizes of this round, ascending, each to be sent kCopies times. Empty when the search has ended.
  const std::vector<std::uint32_t>& sizes() const { return sizes_; }
  void handle_answer(std::uint32_t size);
  /// The time for answers of this round is over.
  void finish_round();

  std::uint32_t largest() const { return largest_passed_; }
  /// True if `max`, the largest size allowed, passed.
  bool unlimited() const { return largest_passed_ == max_; }

 private:
  void plan();

  const std::uint32_t max_;
  std::uint32_t largest_passed_;
  std::uint32_t smallest_failed_;
  std::vector<std::uint32_t> sizes_;
};

}  // namespace kcptun
