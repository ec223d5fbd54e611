// kcptun-client bench: data through a real tunnel to an echo and back, and what came of it.
#pragma once

#include <functional>

#include "config/command.h"

namespace kcptun {

/// Runs a client tunnel in a process of its own and measures through it; the server's target must echo what
/// it gets (port 7 of inetd, or socat). `run_tunnel` runs a profile until a signal ends it, and gives the
/// exit code. The exit code: 0, or 1 when something is missing or what comes back differs from what was sent.
int run_bench(const RunSubcommand& run, const std::function<int(Profile)>& run_tunnel);

}  // namespace kcptun
