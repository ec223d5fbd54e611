// What the streams of one session may have waiting for their readers, of memory that all sessions of a process share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace kcptun {

/// Memory of the process for received bytes that nobody has read yet. The sessions of all loops charge what they hold,
/// so the implementation must be safe for the loops' threads. Core itself has none.
class MemoryQuota {
 public:
  virtual ~MemoryQuota() = default;
  /// Never fails: who charges has asked left() before, and overruns it by little.
  virtual void charge(std::uint64_t bytes) = 0;
  /// REQUIRES: so many bytes were charged.
  virtual void uncharge(std::uint64_t bytes) = 0;
  /// Bytes that are not charged; 0 when the limit is reached or overrun.
  virtual std::uint64_t left() const = 0;
  virtual std::uint64_t limit() const = 0;
};

/// One session's part. With smux 2 each stream has a window, so the session's own limit is soft: beyond it, streams
/// that nobody reads get no more window, and all others go on. The hard limit is the quota, which is shared by dynamic
/// thresholds (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998): what
/// anybody may have is a multiple of what is left, so that something is always left for who comes next. With smux 1
/// there are no windows, and the session's limit is hard too.
/// Bounds: kReserve bytes, which are not charged, then as much as stands above.
class ReceiveBudget {
 public:
  /// Bytes that a session may hold whatever others do: who reads at once goes on when the quota is used up.
  static constexpr std::uint64_t kReserve = 64 * 1024;
  /// The quota is charged in steps of this.
  static constexpr std::uint64_t kTimerGranularity = 64 * 1024;
  /// A session may hold at most so many times of what is left of the quota: one alone four fifths of all.
  static constexpr std::uint64_t kSessionShare = 4;
  /// This part of the quota is kept for the smallest windows: those of streams that come when the rest is full.
  static constexpr std::uint64_t kKeptPart = 4;
  /// A stream gets a window of at most this part of what its session may still take of the rest,
  static constexpr std::uint64_t kWindowPart = 16;
  /// but never a smaller one than this, unless its own buffer is smaller.
  static constexpr std::uint32_t kMinWindow = 64 * 1024;

  /// `quota` may be null, which is without a limit; else it outlives the budget. `hard`: the session's limit is (smux 1).
  ReceiveBudget(std::uint64_t limit, bool hard, MemoryQuota* quota) : limit_(limit), hard_(hard), quota_(quota) {}
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
    if (charged_ > 0 && held_ + kTimerGranularity <= charged_) settle();
  }
  std::uint64_t held() const { return held_; }
  std::uint64_t limit() const { return limit_; }
  void raise_limit(std::uint64_t limit) { limit_ = std::max(limit_, limit); }

  /// True while more may come in.
  bool admits() const { return !(hard_ && held_ >= limit_) && !out_of_memory(); }
  /// True when it is for the quota that no more may come in.
  bool out_of_memory() const { return quota_ && held_ >= kReserve && room(quota_->left()) == 0; }
  /// True when a stream cannot have the window `wanted` because little of the quota is left.
  bool is_short(std::uint32_t wanted) const { return window(wanted) < wanted; }
  /// True when what unread streams hold is too much: for the session's limit, or for the quota.
  bool wants_back(std::uint32_t wanted) const { return held_ >= limit_ || (held_ >= kReserve && is_short(wanted)); }
  /// The window for a stream that is read and could have `wanted`.
  std::uint32_t window(std::uint32_t wanted) const {
    if (!quota_) return wanted;
    const std::uint64_t left = quota_->left();
    const std::uint64_t kept = std::min(left, quota_->limit() / kKeptPart);
    const std::uint64_t part = std::max<std::uint64_t>(kMinWindow, room(left - kept) / kWindowPart);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, part));
  }

 private:
  // What the session may still take by its share of what is left.
  std::uint64_t room(std::uint64_t left) const {
    const std::uint64_t share = kSessionShare * left;
    return share - std::min(share, held_);
  }

  void settle() {
    const std::uint64_t due = held_ <= kReserve ? 0 : (held_ - kReserve + kTimerGranularity - 1) / kTimerGranularity * kTimerGranularity;
    if (due > charged_) quota_->charge(due - charged_);
    if (due < charged_) quota_->uncharge(charged_ - due);
    charged_ = due;
  }

  std::uint64_t limit_;
  bool hard_;
  MemoryQuota* quota_;
  std::uint64_t held_ = 0;
  std::uint64_t charged_ = 0;  // a multiple of kTimerGranularity
};

}  // namespace kcptun
