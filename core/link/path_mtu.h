// The largest datagram that a path carries: packetization layer path MTU discovery (RFC 8899).
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/packet.h"
#include "core/base/time.h"

namespace kcptun {

/// Decides when to send a probe, of what size, and how large packets may be. Sizes are of UDP payload. A lost
/// probe costs no data, and may have been lost to congestion, so each size gets kMaxProbes. The search begins
/// at kFloor and never goes below it, because segments that were cut for a size cannot be cut again. While
/// large packets leave, the size is confirmed at intervals: if a path shrinks, the size falls to kFloor at
/// once, and the search begins again.
class PathMtu {
 public:
  static constexpr std::uint32_t kFloor = 1200;  // RFC 8899 section 5.1.2, BASE_PLPMTU
  static constexpr std::uint32_t kMaxProbes =
      5;  // RFC 8899 section 5.1.2: 3. At 30 % loss 5 fail once in 400
  /// How long a path that has shrunk goes unnoticed, about.
  static constexpr Duration kConfirmEvery = seconds(3);
  static constexpr Duration kRaiseEvery = seconds(600);  // RFC 8899 section 5.1.1, PMTU_RAISE_TIMER
  /// The shortest wait for an answer, whatever the round trip. A shorter one takes a late answer for a loss.
  static constexpr Duration kMinWait = milliseconds(100);

  PathMtu() = default;

  /// How large packets may be now.
  std::uint32_t size() const { return size_; }
  /// The size of a probe that is to leave now; it counts as sent. `wait`: how long its answer may take.
  std::optional<std::uint32_t> poll_probe(TimePoint now, Duration wait);
  /// True if the probe just polled is the last of its size. Then a small packet that any live peer answers is
  /// to leave too, so that silence can be told from a size that does not pass.
  bool last_of_its_size() const { return probes_ == kMaxProbes; }
  /// The last probe was answered.
  void handle_answer(TimePoint now);
  /// A packet of the peer arrived. Silence shows nothing about sizes, so a silent peer is not probed for
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
  void continue_search(TimePoint now);
  void handle_failure(TimePoint now);
  void settle(TimePoint now, TimePoint raise_at);

  Phase phase_ = Phase::kConfirm;
  std::uint32_t size_ = kFloor;
  std::uint32_t max_ = static_cast<std::uint32_t>(kMaxDatagram);  // what may still pass
  std::uint32_t candidate_ = kFloor;
  std::uint32_t probes_ = 0;  // of the candidate
  bool max_tried_ = false;    // in this search
  bool heard_ = false;        // since the last probe
  bool used_ = false;         // since the last confirmation
  TimePoint raise_at_{};
  Duration last_wait_{0};
  std::optional<TimePoint> due_at_ = TimePoint{};
};

}  // namespace kcptun
