// The firewall rules of tcp mode: they drop the segments that the kernel itself sends on the idle connections
// whose sequence numbers the disguise uses. In a table of this process's own (nf_tables, as `nft list tables`
// shows it), so that nobody else's rules are touched, and none of ours can be missed.
//
// The kernel removes the table when its owner, the netlink socket, is closed, by whatever ending of the
// process (Linux 5.12 and later). An older one keeps the table of a killed process: it bears the process's id
// and time of start, and the next start removes it.
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

/// One rule, removed with its owner. The firewall outlives it.
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

/// Thread-safe: every loop's connections come and go through one. Bounds: one rule for each rule object.
class Firewall {
 public:
  /// Who owns the table. kProcess is for tests, which play older kernels with it.
  enum class Owner { kSocket, kProcess };

  /// Removes the tables that killed processes left, and makes one for this process. The error says what the
  /// kernel refused, and which privilege it may be for want of.
  static Result<std::unique_ptr<Firewall>> open(Owner owner = Owner::kSocket);
  ~Firewall();
  Firewall(const Firewall&) = delete;
  Firewall& operator=(const Firewall&) = delete;

  /// Drops TCP segments with TTL 1 (hop limit 1) from these local ports. For servers; one rule
  /// for each family.
  Result<std::vector<FirewallRule>> suppress_kernel_segments_of(std::uint16_t port_min, std::uint16_t port_max);
  /// The same of one connection. For clients.
  Result<FirewallRule> suppress_kernel_segments(const IpEndpoint& local, const IpEndpoint& remote);

  const std::string& table() const { return table_; }
  /// True if the kernel removes the table by itself, however the process ends.
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

/// True for the name of a table that a process of this program made which is no more. False whenever it
/// cannot be told: other names, and processes of other PID namespaces.
bool is_stale_table(std::string_view name);

}  // namespace kcptun
