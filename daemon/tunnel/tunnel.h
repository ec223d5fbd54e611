// One tunnel on all its loops.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/crypt/suite.h"
#include "core/stream/qpp.h"
#include "daemon/client/client_worker.h"
#include "daemon/engine/engine.h"
#include "daemon/io/worker_threads.h"
#include "daemon/net/listening_sockets.h"
#include "daemon/server/server_worker.h"
#include "daemon/status/gathering.h"
#include "daemon/worker/tunnel_worker.h"

namespace kcptun {

/// What a tunnel does and has done, over all its loops.
struct TunnelTotals {
  Counters counters{};
  std::size_t streams = 0;
  PeerSnapshot peer{};
};

/// Its loops lie on the process's threads, beside other tunnels'. All calls are for the first thread; those
/// that touch the loops while the threads run say so.
class Tunnel {
 public:
  /// Derives the key, and nothing else. `threads` and `memory` outlive the tunnel. The error says why there is no key.
  static Result<std::unique_ptr<Tunnel>> make(const Profile& profile, WorkerThreads& threads,
                                                   MemoryQuota& memory);
  /// REQUIRES: all threads stand still, or have ended.
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  /// How many loops it wants: one per thread, a client at most `conn`.
  std::size_t loops_wanted() const;
  /// Binds sockets and dials sessions, on the threads from number `first_thread` on, round and round. The
  /// error names what cannot be had. REQUIRES: all threads stand still, or have not begun; called once.
  /// `inherited`: takes from it what it finds there instead of binding.
  Result<bool> open(const TunnelAddresses& addresses, std::size_t first_thread, ListeningSockets& inherited);
  /// Adds copies of what it listens on to `sockets`, for a tunnel that takes its place. Goes on as before. Not those of
  /// tcp mode.
  void lend_sockets(ListeningSockets& sockets) const;
  /// Takes over what of the profile may change. `remote`: its addresses, if it changed.
  /// REQUIRES: all threads stand still; the options that need a restart are as they were.
  void apply(const Profile& next, const std::vector<IpEndpoint>* remote);
  /// Ends its streams, and tells the peer in one last round. REQUIRES: all threads stand still.
  void shut_down();

  /// Calls `then` on the first thread, while that runs; not at all if the tunnel is gone by then.
  void queue_write(std::function<void(const TunnelTotals&)> then);
  /// The same, but loops whose sessions have done nothing since they were asked last are not woken: what they said then
  /// holds, but for counters of packets that no session took.
  void collect_active(std::function<void(const TunnelTotals&)> then);

  /// Its name and addresses, for the status.
  TunnelSnapshot described() const;
  /// Each of its loops adds its share to tunnel number `number` of `gathering`, or drops it when the tunnel is gone.
  void add_to(const std::shared_ptr<StatusCollector>& gathering, std::size_t number);

  const Profile& profile() const { return profile_; }
  std::size_t loops() const { return workers_.size(); }

 private:
  struct Worker {
    std::unique_ptr<Engine> engine;
    std::unique_ptr<TunnelWorker> part;
    TunnelTotals said{};         // when it was asked last by collect_active()
    std::uint64_t said_at = ~std::uint64_t{0};  // Engine::activity() then
  };
  struct StatusCollection;

  Tunnel(const Profile& profile, MasterKey key, WorkerThreads& threads, MemoryQuota& memory);
  void add_loops(std::size_t first_thread);
  void ask(const std::shared_ptr<StatusCollection>& gathering, std::size_t index);
  Result<bool> open_client(const TunnelAddresses& addresses, ListeningSockets& inherited);
  Result<std::vector<std::vector<FileDescriptor>>> open_listeners(const std::vector<IpEndpoint>& locals,
                                                                   ListeningSockets& inherited);
  Result<FileDescriptor> open_unix_listener(const UnixPath& path, ListeningSockets& inherited);
  Result<bool> open_server(const TunnelAddresses& addresses, ListeningSockets& inherited);
  Result<bool> listen_on(const IpEndpoint& address, std::span<ServerWorker* const> parts, ListeningSockets& inherited);
  static std::vector<FileDescriptor> share_out(std::vector<FileDescriptor> sockets, std::size_t parts);
  Result<bool> listen_fake_tcp(const std::vector<IpEndpoint>& addresses, std::span<ServerWorker* const> parts);

  Profile profile_;  // without its key; parts refer to it; changes only while all threads stand still
  WorkerThreads& threads_;
  MemoryQuota& memory_;
  MasterKey key_;
  std::unique_ptr<QppPads> qpp_;
  std::unique_ptr<Firewall> firewall_;        // tcp mode
  std::vector<FirewallRule> firewall_rules_;  // a server's
  ClientShared client_;
  ServerShared server_;
  std::vector<Worker> workers_;
  std::size_t first_thread_ = 0;  // that of the first worker
  struct Listened {
    std::string place;  // ListeningSockets::place()
    int fd;             // of a part's, which lives as long
  };
  std::vector<Listened> listened_;
  std::shared_ptr<SocketFile> socket_file_;                     // of a client's localaddr; a successor may have it too
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for totals that come when we are gone
};

/// The addresses to listen on, and that of the remote if it is a literal: its name is resolved while the tunnel runs, for
/// the network may not be there yet. Blocks. The error names what cannot be resolved.
Result<TunnelAddresses> resolve_tunnel(const Profile& profile);

}  // namespace kcptun
