// Takes snapshots of the engines' state on their threads.
#pragma once

#include <vector>

#include "daemon/engine/session.h"
#include "daemon/metrics/snapshot.h"

namespace kcptun {

/// A session and what its owner knows of the peer.
struct SessionView {
  const Session* session;
  PeerSnapshot peer;
  std::string user{};  // of a server with users
};

/// One session. Call it on the session's thread.
SessionSnapshot snapshot_session(const SessionView& view);

/// One engine's share of a tunnel, without names, counters and peer. `past`: traffic of ended sessions. Costs
/// a few steps per session and a copy of the kMaxSessionRows sessions with the most traffic.
TunnelSnapshot snapshot_share(std::vector<SessionView> sessions, const Traffic& past);

/// CPU time of the calling thread, in seconds.
double thread_cpu_seconds();

/// Values of the whole process: time, CPU, memory.
void take_process(ProcessSnapshot& snapshot);

}  // namespace kcptun
