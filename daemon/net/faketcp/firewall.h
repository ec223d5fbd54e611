// The firewall rules of tcp mode. They drop the segments that the kernel itself sends on the idle TCP
// connections whose sequence numbers fake TCP uses. The rules are in an nftables table of this process's own
// (`nft list tables` shows it), so they touch nobody else's.
//
// The kernel removes the table when its owner, the netlink socket, closes, however the process ends
// (Linux 5.12 and later). On an older kernel the table of a killed process stays. Its name holds the
// process's id and start time, and the next start removes it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/path.h"
#include "core/base/result.h"

struct nft_ctx;

namespace kcptun {

class Firewall;

/// One rule. Its destructor removes the rule from the table. The firewall outlives it.
class FirewallRule {
 public:
  FirewallRule() = default;
  FirewallRule(Firewall& firewall, std::uint64_t handle) : firewall_(&firewall), handle_(handle) {}
  FirewallRule(FirewallRule&& other) noexcept
      : firewall_(std::exchange(other.firewall_, nullptr)), handle_(other.handle_) {}
  FirewallRule& operator=(FirewallRule&& other) noexcept {
    std::swap(firewall_, other.firewall_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~FirewallRule();

 private:
  Firewall* firewall_ = nullptr;
  std::uint64_t handle_ = 0;
};

/// Thread-safe: the connections of all engines share one. Bounds: one rule for each FirewallRule.
class Firewall {
 public:
  /// The owner of the table. Tests use kProcess to simulate an older kernel.
  enum class Owner { kSocket, kProcess };

  /// Removes the tables of killed processes and creates one for this process. The error contains the message
  /// of libnftables.
  static Result<std::unique_ptr<Firewall>> open(Owner owner = Owner::kSocket);
  ~Firewall();
  Firewall(const Firewall&) = delete;
  Firewall& operator=(const Firewall&) = delete;

  /// Drops TCP segments with TTL 1 (hop limit 1) from these local ports, for a server. Adds one rule for each
  /// family.
  Result<std::vector<FirewallRule>> suppress_kernel_segments_of(std::uint16_t port_min,
                                                                std::uint16_t port_max);
  /// Drops such segments of one connection, for a client.
  Result<FirewallRule> suppress_kernel_segments(const IpEndpoint& local, const IpEndpoint& remote);

  const std::string& table() const { return table_; }
  /// True if the kernel removes the table when the process ends, however it ends.
  bool ends_with_process() const { return owned_; }

 private:
  friend class FirewallRule;
  struct FreeContext {
    void operator()(nft_ctx* context) const;
  };

  Firewall();
  Result<std::string> run(const std::string& command);
  Result<bool> make_table(bool owned);
  Result<bool> remove_stale_tables();
  Result<FirewallRule> add(const std::string& rule);
  void remove(std::uint64_t handle);

  std::mutex mutex_;
  std::unique_ptr<nft_ctx, FreeContext> context_;
  const std::string table_;
  bool owned_ = false;
};

/// True for the name of a table whose process, one of this program, has ended. False if that cannot be
/// determined: for other names, and for processes of other PID namespaces.
bool is_stale_table(std::string_view name);

}  // namespace kcptun
