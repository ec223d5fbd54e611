// Keeps several sessions together below a number of bytes per second.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/time.h"

namespace kcptun {

/// A token bucket that counts in time: its credit is how long the rate takes to send what may leave at once.
/// Thread-safe. All callers have one monotonic clock. Threads that look at the same credit may each take a
/// turn from it: the bucket then runs into debt by as many turns.
class SharedRate {
 public:
  using Credit = std::chrono::nanoseconds;  // a datagram of 1,400 bytes at 10 Gbit/s: 1,120

  /// What a session sends in one turn. Shorter turns need more wake-ups, longer ones hold up the others.
  static constexpr Credit kTurn = microseconds(2500);
  /// The most that is saved up. A session alone begins its turns at 1.5 of them, so that its timers may be
  /// 5 ms late.
  static constexpr Credit kMaxCredit = 4 * kTurn;

  /// In bytes of UDP payload per second; 0: no limit.
  explicit SharedRate(std::uint64_t rate) : rate_(rate) {}
  void set(std::uint64_t rate) { rate_.store(rate, std::memory_order_relaxed); }
  bool limits() const { return rate_.load(std::memory_order_relaxed) > 0; }

  /// At most kMaxCredit. Negative: in debt.
  Credit credit(TimePoint now) const;
  /// Returns what it took. Takes nothing without a limit.
  Credit charge(TimePoint now, std::size_t bytes);

 private:
  static std::int64_t to_ns(TimePoint now) { return Credit(now.time_since_epoch()).count(); }

  std::atomic<std::uint64_t> rate_;
  // When the credit was or will be 0. It rises with time alone, so that a look at it writes nothing.
  std::atomic<std::int64_t> empty_at_ns_{std::numeric_limits<std::int64_t>::min() / 2};
};

/// One session's part in a SharedRate. Sessions that have much to send take turns, so that none starves: the
/// credit at which a turn begins falls from two turns to one while the session waits, so whoever has waited
/// longest is first. One with little to send hardly waits.
class RateTurn {
 public:
  /// `rate` is not null.
  explicit RateTurn(std::shared_ptr<SharedRate> rate) : rate_(std::move(rate)) {}

  /// True if a packet may leave at `now`.
  bool allows(TimePoint now);
  void charge(TimePoint now, std::size_t bytes);
  /// When to ask again. REQUIRES: allows() has just returned false.
  TimePoint ready_at() const { return ready_at_; }

 private:
  using Credit = SharedRate::Credit;

  double turns_waited(TimePoint now) const;

  std::shared_ptr<SharedRate> rate_;
  std::optional<Credit> taken_;  // in the turn that lasts; none: it waits for one
  TimePoint began_{};
  std::optional<TimePoint> last_ended_;  // its last whole turn
  TimePoint ready_at_{};
};

}  // namespace kcptun
