// The largest datagram that a path carries: packetization layer path MTU discovery (RFC 8899).
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/packet.h"
#include "core/base/time.h"

namespace kcptun {

/// Says when to send a probe of what size, and what size packets may have; told of answers. Probes carry
/// nothing that is missed: their loss means a size that does not pass, or just a loss, which is why each size
/// has kMaxProbes. Sizes are of UDP payload. The search begins at kFloor, below which it never goes: what is
/// cut for a size cannot be cut again. A size that was good is confirmed now and then while packets of about
/// that size leave, so that a path that shrinks is noticed: the size falls to kFloor at once, and is searched
/// anew.
class PathMtu {
 public:
  static constexpr std::uint32_t kFloor = 1200;  // RFC 8899 section 5.1.2, BASE_PLPMTU
  static constexpr std::uint32_t kMaxProbes = 5;
  static constexpr Duration kConfirmEvery = seconds(3);
  static constexpr Duration kRaiseEvery = seconds(600);  // RFC 8899 section 5.1.1, PMTU_RAISE_TIMER
  static constexpr Duration kMinWait = milliseconds(100);

  PathMtu() = default;

  /// What packets may have now.
  std::uint32_t size() const { return size_; }
  /// A probe of this size is to leave now, and counts as sent. `wait`: what its answer may take.
  std::optional<std::uint32_t> poll_probe(TimePoint now, Duration wait);
  /// True if the probe just polled is the last of its size: something small is to leave too, that any live
  /// peer answers.
  bool last_of_its_size() const { return probes_ == kMaxProbes; }
  /// The last probe was answered.
  void handle_answer(TimePoint now);
  /// Something of the peer arrived. Silence says nothing about sizes, and who is silent is not probed for
  /// long.
  void handle_arrival(TimePoint now);
  /// A packet of kFloor or more left.
  void handle_large_packet(TimePoint now) {
    used_ = true;
    if (!due_at_ && phase_ == Phase::kSettled) due_at_ = now + kConfirmEvery;
  }
  /// None while nothing is due or under way.
  std::optional<TimePoint> next_timeout() const { return due_at_; }
  /// The search is over: size() is exact.
  bool settled() const { return phase_ != Phase::kSearch && raise_at_ != TimePoint{}; }

 private:
  enum class Phase : std::uint8_t { kConfirm, kSearch, kSettled };

  void begin(TimePoint now, Phase phase, std::uint32_t candidate);
  void search_on(TimePoint now);
  void handle_failure(TimePoint now);
  void settle(TimePoint now, TimePoint raise_at);

  Phase phase_ = Phase::kConfirm;
  std::uint32_t size_ = kFloor;
  std::uint32_t most_ = static_cast<std::uint32_t>(kMaxDatagram);  // what may still pass
  std::uint32_t candidate_ = kFloor;
  std::uint32_t probes_ = 0;  // of the candidate
  bool most_tried_ = false;   // in this search
  bool heard_ = false;        // since the last probe
  bool used_ = false;         // since the last confirmation
  TimePoint raise_at_{};
  Duration last_wait_{0};
  std::optional<TimePoint> due_at_ = TimePoint{};
};

}  // namespace kcptun
