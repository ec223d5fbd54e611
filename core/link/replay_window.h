// Which packet numbers have been there: a bit for each of the last few thousand (after RFC 6479's ring of
// words).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kcptun {

/// Numbers may come in any order; one that lies kSpan or more behind the newest counts as seen. 1 KiB.
class ReplayWindow {
 public:
  /// So many numbers reach back: half a second of reordering at 16,000 packets per second.
  static constexpr std::uint64_t kSpan = 8192 - 64;

  /// Never marked, and not too old to tell.
  bool fresh(std::uint64_t number) const;
  /// REQUIRES: fresh(number).
  void mark(std::uint64_t number);
  /// One beyond the largest number that was marked.
  std::uint64_t end() const { return end_; }
  /// Larger than all that were marked.
  bool newest(std::uint64_t number) const { return number >= end_; }

 private:
  static constexpr std::size_t kWords = (kSpan + 64) / 64;
  static std::size_t word_of(std::uint64_t number) { return static_cast<std::size_t>(number / 64 % kWords); }

  std::uint64_t end_ = 0;  // one beyond the largest that was marked
  std::array<std::uint64_t, kWords> seen_{};
};

}  // namespace kcptun
