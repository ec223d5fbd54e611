// Which packet numbers were seen: a bit for each of the last few thousand, in RFC 6479's ring of words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kcptun {

/// Numbers may come in any order. One that is kSpan or more behind the newest counts as seen. 1 KiB.
class ReplayWindow {
 public:
  /// In numbers: half a second of reordering at 16,000 packets per second.
  static constexpr std::uint64_t kSpan = 8128;

  /// It was never marked, and is not too old to tell.
  bool fresh(std::uint64_t number) const;
  /// REQUIRES: fresh(number).
  void mark(std::uint64_t number);
  /// It is larger than all that were marked.
  bool newest(std::uint64_t number) const { return number >= end_; }
  /// One beyond the largest number that was marked.
  std::uint64_t end() const { return end_; }

 private:
  static constexpr std::size_t kWords = 128;  // one more than the span: it is being filled
  static_assert(kSpan == 64 * (kWords - 1), "whole words");
  static std::size_t word_of(std::uint64_t number) { return static_cast<std::size_t>(number / 64 % kWords); }

  std::uint64_t end_ = 0;  // one beyond the largest that was marked
  std::array<std::uint64_t, kWords> seen_{};
};

}  // namespace kcptun
