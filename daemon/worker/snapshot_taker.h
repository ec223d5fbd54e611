// Copies of what the loops hold, taken on their threads.
#pragma once

#include <vector>

#include "daemon/engine/session.h"
#include "daemon/metrics/snapshot.h"

namespace kcptun {

/// One session. On its loop's thread.
SessionSnapshot take_session(const Session& session);

/// One loop's share of a tunnel, but for its names and counters. `past`: what sessions that are gone have
/// moved. Costs some steps for each session and a copy for each of the kMaxSessionRows that moved most.
TunnelSnapshot take_share(std::vector<const Session*> sessions, const Traffic& past);

/// CPU seconds of the calling thread.
double thread_cpu_seconds();

/// The process's own numbers: time, CPU, memory.
void take_process(ProcessSnapshot& snapshot);

}  // namespace kcptun
