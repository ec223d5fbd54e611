// `kcptun-client top` and `kcptun-server top` show the status of a running program in a terminal.
#pragma once

#include "config/command.h"

namespace kcptun {

/// Runs until `q` or a signal. `process` is the program's own command line; its first argument is "top". The
/// others are an address, or flags that give one (--status, or -c FILE with a status field). --once prints
/// one frame and returns. Returns the exit code: 0 for success, 1 if there is no status, 2 for wrong usage.
int run_top(const CommandInput& process);

}  // namespace kcptun
