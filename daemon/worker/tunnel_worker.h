// What the client's and the server's part of a loop have in common.
#pragma once

#include <vector>

#include "config/profile.h"
#include "daemon/metrics/counters.h"
#include "daemon/metrics/snapshot.h"
#include "daemon/net/address.h"

namespace kcptun {

/// The addresses of a tunnel's two ends, as far as they are known; empty for a unix path, and where the client has
/// several servers. A remote that is not known is looked for while the tunnel runs: no network, and a name that nobody
/// knows, must not stop it.
struct TunnelAddresses {
  std::vector<IpEndpoint> local;
  std::vector<IpEndpoint> remote;
};

/// One loop's share of the tunnel. Lives on its loop's thread, but for construction and destruction, and for what is
/// called while that thread stands still (WorkerThreads::run_exclusive).
class TunnelWorker {
 public:
  virtual ~TunnelWorker() = default;
  /// Sums of its sessions, past and present.
  virtual Counters counters() const = 0;
  /// Whether its peer answers.
  virtual PeerSnapshot peer() const = 0;
  /// Streams that are open now.
  virtual std::size_t streams() const = 0;
  /// The profile, which the part refers to, has changed in what may change while it runs: sessions that are open take
  /// over what they can. `remote`: the addresses of the profile's remote, if that changed.
  virtual void apply_profile(const std::vector<IpEndpoint>* remote) = 0;
  /// Its sessions as they are now, and what they have moved; without names and counters.
  virtual TunnelSnapshot share() const = 0;
  /// Ends all streams, telling the peer, and stops listening.
  virtual void shut_down() = 0;
};

}  // namespace kcptun
