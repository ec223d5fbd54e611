// The interface common to the client's and the server's worker.
#pragma once

#include <vector>

#include "config/profile.h"
#include "daemon/metrics/counters.h"
#include "daemon/metrics/snapshot.h"
#include "daemon/net/address.h"

namespace kcptun {

/// The addresses of a tunnel's two ends, as far as they are known. Empty for a unix path, and for a client
/// with several servers. An unknown remote is resolved while the tunnel runs, so that a missing network or an
/// unresolvable name does not prevent the start.
struct TunnelAddresses {
  std::vector<IpEndpoint> local;
  std::vector<IpEndpoint> remote;
  std::vector<std::vector<IpEndpoint>> forwards{};  // of each forward's LISTEN
};

/// One engine's share of the tunnel. Lives on its engine's thread, except for construction, destruction and
/// calls made while that thread is stopped (WorkerThreads::run_exclusive).
class TunnelWorker {
 public:
  virtual ~TunnelWorker() = default;
  /// Sums over its sessions, past and present.
  virtual Counters counters() const = 0;
  /// Whether its peer answers.
  virtual PeerSnapshot peer() const = 0;
  /// Streams that are open now.
  virtual std::size_t streams() const = 0;
  /// The profile, which the worker references, has changed in options that may change at run time. Open
  /// sessions apply what they can. `remote`: the addresses of the profile's remote, if it changed.
  virtual void apply_profile(const std::vector<IpEndpoint>* remote) = 0;
  /// Its current sessions and their traffic, without names and counters.
  virtual TunnelSnapshot share() const = 0;
  /// Closes all streams, notifies the peer and stops listening.
  virtual void shut_down() = 0;
};

}  // namespace kcptun
