// The process's memory quota for received bytes that applications have not read yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/smux/receive_budget.h"

namespace kcptun {

/// Shared by all sessions of all tunnels on all loops. Thread-safe.
/// Bounds: `limit`, exceeded by at most one segment per loop that charges at the same time, and by the
/// uncharged reserve of each session (ReceiveBudget::kReserve).
class ProcessMemory final : public MemoryQuota {
 public:
  explicit ProcessMemory(std::uint64_t limit) : limit_(limit) {}
  void charge(std::uint64_t bytes) override { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void uncharge(std::uint64_t bytes) override { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::uint64_t left() const override {
    const std::uint64_t used = this->used();
    return used < limit_ ? limit_ - used : 0;
  }
  std::uint64_t limit() const override { return limit_; }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

/// The limits on the process's memory, in bytes; none: unknown.
struct MachineMemory {
  std::optional<std::uint64_t> physical{};
  std::optional<std::uint64_t> control_group{};  // the minimum over its own group and all parents
  std::optional<std::uint64_t> address_space{};  // RLIMIT_AS
};
MachineMemory memory_of_machine();
/// The quota if the user sets none: a quarter of the smallest limit, at least kMinQuota. The rest is left to
/// windows, socket buffers and other programs.
std::uint64_t default_quota(const MachineMemory& machine);
inline constexpr std::uint64_t kMinQuota = std::uint64_t{16} << 20;

}  // namespace kcptun
