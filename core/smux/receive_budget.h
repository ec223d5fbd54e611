// The bound on a session's received but unread bytes, within memory shared by all sessions of the process.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace kcptun {

/// The process's memory for received but unread bytes. The sessions of all engines charge what they hold, so
/// an implementation must be thread-safe. Core itself has no implementation.
class MemoryQuota {
 public:
  virtual ~MemoryQuota() = default;
  /// Never fails: the caller has checked left() and exceeds it by a bounded amount only.
  virtual void charge(std::uint64_t bytes) = 0;
  /// REQUIRES: at least this many bytes are charged.
  virtual void uncharge(std::uint64_t bytes) = 0;
  /// Bytes not charged; 0 if the limit is reached or exceeded.
  virtual std::uint64_t left() const = 0;
  virtual std::uint64_t limit() const = 0;
};

/// The budget of one session. With smux 2 each stream has a window, so the session's own limit is soft: above
/// it, unread streams get no further window, and all others continue. The hard limit is the quota. Sessions
/// share it with dynamic thresholds (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory
/// Packet Switches", 1998): a session may hold a multiple of what is left, so some memory always remains for
/// new sessions. With smux 1 there are no stream windows, and the session's limit is hard, too.
/// Bounds: kReserve bytes, which are not charged, then as above.
class ReceiveBudget {
 public:
  /// Bytes that a session may hold whatever the others hold. A session whose streams are read promptly
  /// continues even when the quota is exhausted.
  static constexpr std::uint64_t kReserve = 64 * 1024;
  /// In bytes. The quota is charged in multiples of this.
  static constexpr std::uint64_t kChargeUnit = 64 * 1024;
  /// A session may hold at most this multiple of what is left of the quota. A single session may hold four
  /// fifths of it.
  static constexpr std::uint64_t kSessionShare = 4;
  /// This fraction (1/4) of the quota is reserved for minimum windows: those of streams opened when the rest
  /// is in use.
  static constexpr std::uint64_t kReservedFraction = 4;
  /// The window of a stream is at most this fraction (1/16) of what its session may still hold of the rest,
  static constexpr std::uint64_t kWindowFraction = 16;
  /// but at least this many bytes, unless the stream's own buffer is smaller.
  static constexpr std::uint32_t kMinWindow = 64 * 1024;

  /// `quota` may be null (unlimited); otherwise it outlives the budget. `hard`: the session's own limit is
  /// hard (smux 1).
  ReceiveBudget(std::uint64_t limit, bool hard, MemoryQuota* quota)
      : limit_(limit), hard_(hard), quota_(quota) {}
  ReceiveBudget(ReceiveBudget&& other) noexcept
      : limit_(other.limit_),
        hard_(other.hard_),
        quota_(other.quota_),
        held_(std::exchange(other.held_, 0)),
        charged_(std::exchange(other.charged_, 0)) {}
  ReceiveBudget& operator=(ReceiveBudget&&) = delete;
  ~ReceiveBudget() {
    if (charged_ > 0) quota_->uncharge(charged_);
  }

  void add(std::uint64_t bytes) {
    held_ += bytes;
    if (quota_ && held_ > charged_ + kReserve) settle();
  }
  /// REQUIRES: bytes <= held().
  void remove(std::uint64_t bytes) {
    held_ -= bytes;
    if (charged_ > 0 && held_ + kChargeUnit <= charged_) settle();
  }
  std::uint64_t held() const { return held_; }
  std::uint64_t limit() const { return limit_; }
  void raise_limit(std::uint64_t limit) { limit_ = std::max(limit_, limit); }

  /// True while more bytes may be received.
  bool can_receive() const { return !(hard_ && held_ >= limit_) && !out_of_memory(); }
  /// True if the quota prevents more bytes from being received.
  bool out_of_memory() const { return quota_ && held_ >= kReserve && room(quota_->left()) == 0; }
  /// True if a stream cannot have the window `wanted` because little of the quota is left.
  bool is_short(std::uint32_t wanted) const { return window(wanted) < wanted; }
  /// True if unread streams hold too much, relative to the session's limit or to the quota.
  bool over_budget(std::uint32_t wanted) const {
    return held_ >= limit_ || (held_ >= kReserve && is_short(wanted));
  }
  /// The window of a stream that is being read, at most `wanted`.
  std::uint32_t window(std::uint32_t wanted) const {
    if (!quota_) return wanted;
    const std::uint64_t left = quota_->left();
    const std::uint64_t kept = std::min(left, quota_->limit() / kReservedFraction);
    const std::uint64_t part = std::max<std::uint64_t>(kMinWindow, room(left - kept) / kWindowFraction);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, part));
  }

 private:
  // The number of bytes that the session may still hold, by its share of what is left.
  std::uint64_t room(std::uint64_t left) const {
    const std::uint64_t share = kSessionShare * left;
    return share - std::min(share, held_);
  }

  void settle() {
    const std::uint64_t due =
        held_ <= kReserve ? 0 : (held_ - kReserve + kChargeUnit - 1) / kChargeUnit * kChargeUnit;
    if (due > charged_) quota_->charge(due - charged_);
    if (due < charged_) quota_->uncharge(charged_ - due);
    charged_ = due;
  }

  std::uint64_t limit_;
  bool hard_;
  MemoryQuota* quota_;
  std::uint64_t held_ = 0;
  std::uint64_t charged_ = 0;  // a multiple of the charging unit
};

}  // namespace kcptun
