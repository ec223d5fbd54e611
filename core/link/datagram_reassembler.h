// Puts the fragments of datagrams together.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "core/link/datagram_packet.h"

namespace kcptun {

/// Bounds: kMaxDatagrams incomplete ones, kMaxBytes in all, each for kMaxAge. The oldest goes first; all that
/// go are counted.
class DatagramReassembler {
 public:
  /// Incomplete datagrams of a session. With one larger than a packet every millisecond these are 64 ms of
  /// reordering.
  static constexpr std::size_t kMaxDatagrams = 64;
  /// Bytes that incomplete datagrams take, by their full size: sixteen of the largest.
  static constexpr std::size_t kMaxBytes = 16 * kMaxFlowDatagram;
  /// Fragments that are further apart are not reordered but lost.
  static constexpr Duration kMaxAge = milliseconds(500);

  /// Takes a fragment. Returns the datagram that it completes; otherwise nothing.
  /// REQUIRES: record.fragment.
  std::optional<std::vector<std::uint8_t>> add(TimePoint now, const DatagramRecord& record);
  std::optional<TimePoint> next_timeout() const {
    return partial_.empty() ? std::nullopt : std::optional(partial_.front().since + kMaxAge);
  }
  /// Drops what is too old.
  void handle_timeout(TimePoint now);

  std::size_t size() const { return partial_.size(); }
  std::size_t bytes() const { return bytes_; }
  /// Datagrams of which fragments were missing.
  std::uint64_t incomplete() const { return incomplete_; }

 private:
  struct Partial {
    TimePoint since{};
    std::uint32_t sid = 0;
    Fragment first;  // `index` is meaningless
    std::size_t missing = 0;
    std::bitset<kMaxFragments> arrived;
    std::vector<std::uint8_t> bytes;
  };
  using Partials = std::deque<Partial>;

  Partials::iterator find_or_begin(TimePoint now, const DatagramRecord& record);
  void drop(Partials::iterator at);
  void make_room(std::size_t bytes);

  Partials partial_;  // the oldest first
  std::size_t bytes_ = 0;
  std::uint64_t incomplete_ = 0;
};

}  // namespace kcptun
