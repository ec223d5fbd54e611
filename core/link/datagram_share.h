// How much datagrams may send beside streams that fill the path.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/time.h"

namespace kcptun {

/// Datagrams leave before stream data. While stream data fills the path, they get as many bytes as it, and at
/// least kMinRate; otherwise as many as they want. So neither starves the other, and a small flow never
/// waits.
class DatagramShare {
 public:
  enum class Streams : std::uint8_t { kLeaveRoom, kFillPath };

  /// Bytes that datagrams may send at once. More adds a queue before a slow path: 16 KiB are 13 ms at 10
  /// Mbit/s. Less than a few packets makes the share of bulk uneven.
  static constexpr std::int64_t kMaxCredit = 16 * 1024;
  /// Bytes per second that datagrams may send whatever streams do: 50 datagrams of 600 bytes. A stream whose
  /// retransmissions are far apart sends too little to live from.
  static constexpr std::int64_t kMinRate = 32 * 1024;

  /// True if a packet may leave.
  bool allows(TimePoint now, Streams streams) {
    if (streams == Streams::kLeaveRoom) {
      credit_ = kMaxCredit;
      at_ = now;
      return true;
    }
    refill(now);
    return credit_ > 0;
  }
  void charge(std::size_t bytes) { credit_ -= static_cast<std::int64_t>(bytes); }
  /// Packets of the streams left.
  void handle_stream_bytes(std::size_t bytes) {
    credit_ = std::min(kMaxCredit, credit_ + static_cast<std::int64_t>(bytes));
  }
  /// When allows() is true again even if no stream data leaves. REQUIRES: it has just returned false.
  TimePoint ready_at() const { return at_ + microseconds(1 + (1 - credit_) * 1'000'000 / kMinRate); }

 private:
  void refill(TimePoint now) {
    const std::int64_t earned = (now - at_).count() * kMinRate / 1'000'000;
    if (earned <= 0) return;
    at_ = now;
    credit_ = std::min(kMaxCredit, credit_ + earned);
  }

  std::int64_t credit_ = kMaxCredit;
  TimePoint at_{};
};

}  // namespace kcptun
