// The memory that the process has for received bytes that nobody has read yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/smux/receive_budget.h"

namespace kcptun {

/// One for all sessions of all tunnels, whatever loop they are on; any thread may call. Bounds: `limit`, overrun by one
/// segment for each loop that charges at the same moment, and by what sessions hold without charging it
/// (ReceiveBudget::kReserve each).
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

/// What bounds the memory of a process, in bytes; none: nothing known.
struct MachineMemory {
  std::optional<std::uint64_t> physical{};
  std::optional<std::uint64_t> control_group{};  // the least of its own and all that contain it
  std::optional<std::uint64_t> address_space{};  // RLIMIT_AS
};
MachineMemory memory_of_machine();
/// The quota where the user sets none: a quarter of the smallest of these, at least kMinQuota. The rest is for
/// windows, socket buffers and other programs.
std::uint64_t default_quota(const MachineMemory& machine);
inline constexpr std::uint64_t kMinQuota = std::uint64_t{16} << 20;

}  // namespace kcptun
