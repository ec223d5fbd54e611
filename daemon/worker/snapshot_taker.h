// Copies of what the loops hold, taken on their threads.
#pragma once

#include <vector>

#include "daemon/engine/session.h"
#include "daemon/metrics/snapshot.h"

namespace kcptun {

/// A session and what its owner knows of the peer.
struct SessionView {
  const Session* session;
  PeerSnapshot peer;
};

/// One session. On its loop's thread.
SessionSnapshot take_session(const SessionView& view);

/// One loop's share of a tunnel, but for its names, counters and peer. `past`: what sessions that are gone have
/// moved. Costs some steps for each session and a copy for each of the kMaxSessionRows that moved most.
TunnelSnapshot take_share(std::vector<SessionView> sessions, const Traffic& past);

/// CPU seconds of the calling thread.
double thread_cpu_seconds();

/// The process's own numbers: time, CPU, memory.
void take_process(ProcessSnapshot& snapshot);

}  // namespace kcptun
