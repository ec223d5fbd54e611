// The firewall rules of tcp mode. They drop the segments that the kernel itself sends on the idle connections
// whose sequence numbers fake TCP uses. The rules are in an nf_tables table of this process, which `nft list
// tables` shows, so the rules of other programs are not touched.
//
// Since Linux 5.12 the kernel removes the table when its owner, the netlink socket, is closed, however the
// process ends. An older kernel keeps the table of a killed process. The table's name contains the process's
// id and start time; the next start of the program removes it.
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
#include "daemon/net/faketcp/netlink.h"

namespace kcptun {

class Firewall;

/// One rule, removed on destruction. The firewall outlives it.
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

/// The process's table. Thread-safe: the connections of every loop use one Firewall.
/// Bounds: one rule per FirewallRule.
class Firewall {
 public:
  /// What owns the table. Tests use kProcess to simulate older kernels.
  enum class Owner { kSocket, kProcess };

  /// Removes the tables of killed processes and creates one for this process. The error gives the kernel's
  /// reason and the privilege that may be missing.
  static Result<std::unique_ptr<Firewall>> open(Owner owner = Owner::kSocket);
  ~Firewall();
  Firewall(const Firewall&) = delete;
  Firewall& operator=(const Firewall&) = delete;

  /// Drops TCP segments with TTL 1 (hop limit 1) from these local ports. For servers; one rule per family.
  Result<std::vector<FirewallRule>> suppress_kernel_segments_of(std::uint16_t port_min, std::uint16_t port_max);
  /// The same for one connection. For clients.
  Result<FirewallRule> suppress_kernel_segments(const IpEndpoint& local, const IpEndpoint& remote);

  const std::string& table() const { return table_; }
  /// True if the kernel removes the table when the process ends, however it ends.
  bool ends_with_process() const { return owned_; }

 private:
  friend class FirewallRule;
  Firewall(NftSocket socket, std::string table) : socket_(std::move(socket)), table_(std::move(table)) {}
  int make_table(bool owned);
  Result<FirewallRule> add(const NetlinkAttributes& expressions);
  void remove(std::uint64_t handle);

  std::mutex mutex_;
  NftSocket socket_;
  const std::string table_;
  bool owned_ = false;
};

/// True if a process of this program made the table and has ended. False if that cannot be determined:
/// another name, or a process of another PID namespace.
bool is_stale_table(std::string_view name);

}  // namespace kcptun
