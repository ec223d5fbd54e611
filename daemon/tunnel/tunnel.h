// A tunnel on all its engines.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/stream/qpp.h"
#include "daemon/client/client_worker.h"
#include "daemon/engine/engine.h"
#include "daemon/io/worker_threads.h"
#include "daemon/net/listening_sockets.h"
#include "daemon/server/server_worker.h"
#include "daemon/status/gathering.h"
#include "daemon/worker/tunnel_keys.h"
#include "daemon/worker/tunnel_worker.h"

namespace kcptun {

/// Current and total values of a tunnel, summed over its engines.
struct TunnelTotals {
  Counters counters{};
  std::size_t streams = 0;
  PeerSnapshot peer{};
};

/// Its engines run on the process's threads, which they share with other tunnels. All calls are made on the
/// first thread. Calls that access engines while the threads run say so.
class Tunnel {
 public:
  /// Derives the key and reads the quota-file. `threads` and `memory` outlive the tunnel. The error gives the
  /// reason for which the key cannot be derived, or names the file.
  static Result<std::unique_ptr<Tunnel>> make(const Profile& profile, WorkerThreads& threads,
                                              MemoryQuota& memory);
  /// REQUIRES: all threads are stopped or have ended.
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  /// Number of engines: one per thread, for a client at most `conn`, and one where the program chooses it.
  std::size_t engine_count() const;
  /// Binds sockets and dials sessions, on the threads from number `first_thread` on, round robin. Uses the
  /// sockets in `inherited` instead of binding where there are any. The error names the resource.
  /// REQUIRES: all threads are stopped or not started; called once.
  Result<bool> open(const TunnelAddresses& addresses, std::size_t first_thread, ListeningSockets& inherited);
  /// Adds duplicates of its listening sockets to `sockets`, for the tunnel that replaces it, and continues to
  /// run. Sockets of tcp mode are not included.
  void export_sockets(ListeningSockets& sockets) const;
  /// Applies the options that may change at run time. `remote`: its addresses, if it changed.
  /// REQUIRES: all threads are stopped; options that need a restart are unchanged.
  void apply(const Profile& next, const std::vector<IpEndpoint>* remote);
  /// Closes its streams and notifies the peer in one last round. REQUIRES: all threads are stopped.
  void shut_down();

  /// Collects the totals of running engines and calls `then` on the first thread; never if the tunnel is
  /// destroyed first.
  void collect(std::function<void(const TunnelTotals&)> then);
  /// Like collect(), but does not wake engines without session activity since the previous call. Their
  /// previous values are still valid, except for counters of packets that matched no session.
  void collect_active(std::function<void(const TunnelTotals&)> then);

  /// Its name and addresses, for the status page.
  TunnelSnapshot described() const;
  /// Each engine adds its share to tunnel number `number` of `gathering`, or drops it if the tunnel is gone.
  void add_to(const std::shared_ptr<StatusCollector>& gathering, std::size_t number);

  const Profile& profile() const { return profile_; }
  const UserAccounts& accounts() const { return server_.accounts; }
  /// In place of what the quota-file said. REQUIRES: no engine runs yet.
  void load_accounts(QuotaUses uses) { server_.accounts.load(std::move(uses)); }
  std::size_t loops() const { return workers_.size(); }

 private:
  struct Worker {
    std::unique_ptr<Engine> engine;
    std::unique_ptr<TunnelWorker> part;
    TunnelTotals said{};  // as of the last collect_active() that asked this engine
    std::uint64_t last_activity = ~std::uint64_t{0};  // Engine::activity() at that time
  };
  struct TotalsCollection;

  Tunnel(const Profile& profile, TunnelKeys keys, WorkerThreads& threads, MemoryQuota& memory);
  void add_loops(std::size_t first_thread);
  void ask(const std::shared_ptr<TotalsCollection>& gathering, std::size_t index);
  Result<bool> open_client(const TunnelAddresses& addresses, ListeningSockets& inherited);
  using SocketsByPart = std::vector<std::vector<FileDescriptor>>;
  struct ListenPlace;
  Result<SocketsByPart> open_listeners(const ListenPlace& place, ListeningSockets& inherited);
  Result<SocketsByPart> open_forward(std::size_t number, const std::vector<IpEndpoint>& addresses,
                                     ListeningSockets& inherited);
  Result<bool> open_udp(std::size_t number, const std::vector<IpEndpoint>& addresses,
                        ListeningSockets& inherited);
  Result<FileDescriptor> open_unix_listener(const UnixPath& path, ListeningSockets& inherited);
  Result<bool> open_server(const TunnelAddresses& addresses, ListeningSockets& inherited);
  Result<bool> listen_on(const IpEndpoint& address, std::span<ServerWorker* const> parts,
                         ListeningSockets& inherited);
  static std::vector<FileDescriptor> distribute(std::vector<FileDescriptor> sockets, std::size_t parts);
  Result<bool> listen_fake_tcp(const std::vector<IpEndpoint>& addresses,
                               std::span<ServerWorker* const> parts);

  Profile profile_;  // without the key; workers reference it; changes only while all threads are stopped
  WorkerThreads& threads_;
  MemoryQuota& memory_;
  TunnelKeys keys_;
  std::unique_ptr<QppPads> qpp_;
  std::unique_ptr<Firewall> firewall_;        // tcp mode
  std::vector<FirewallRule> firewall_rules_;  // of a server
  ClientShared client_;
  ServerShared server_;
  std::vector<Worker> workers_;
  std::size_t first_thread_ = 0;  // thread of the first worker
  struct Listened {
    std::string key;                   // of ListeningSockets
    int fd;                            // owned by a worker's socket, which lives as long
    std::shared_ptr<SocketFile> file;  // of a unix socket; shared with the tunnel that replaces this one
  };
  std::vector<Listened> listened_;
  // Detects totals that arrive after destruction.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// Resolves the addresses to listen on, and that of the remote if it is a literal. A remote name is resolved
/// while the tunnel runs, because the network may not be up yet. Blocks. The error names the address that
/// cannot be resolved.
Result<TunnelAddresses> resolve_tunnel(const Profile& profile);

}  // namespace kcptun
