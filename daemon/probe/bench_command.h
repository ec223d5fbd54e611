// kcptun-client bench: sends data through a real tunnel to an echo service and measures what comes back.
#pragma once

#include <functional>

#include "config/command.h"

namespace kcptun {

/// Runs a client tunnel in a child process and measures through it. The server's target must be an echo
/// service (port 7 of inetd, or socat). `run_tunnel` runs a profile until a signal stops it and returns the
/// exit code. Returns the exit code: 0, or 1 if data is missing or differs from what was sent.
int run_bench(const RunSubcommand& run, const std::function<int(Profile)>& run_tunnel);

}  // namespace kcptun
