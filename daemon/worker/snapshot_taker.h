// Takes snapshots of the engines' state on their threads.
#pragma once

#include <vector>

#include "daemon/engine/session.h"
#include "daemon/metrics/snapshot.h"

namespace kcptun {

/// One session. Call it on the session's thread.
SessionSnapshot take_session(const Session& session);

/// One engine's share of a tunnel, without names and counters. `past`: traffic of ended sessions. Costs a few
/// steps per session and a copy of the kMaxSessionRows sessions with the most traffic.
TunnelSnapshot take_share(std::vector<const Session*> sessions, const Traffic& past);

/// CPU time of the calling thread, in seconds.
double thread_cpu_seconds();

/// Values of the whole process: time, CPU, memory.
void take_process(ProcessSnapshot& snapshot);

}  // namespace kcptun
