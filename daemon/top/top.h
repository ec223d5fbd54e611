// `kcptun-client top` and `kcptun-server top`: the status of a running program, in a terminal.
#pragma once

#include "config/command.h"

namespace kcptun {

/// `process`: as it was started; its first argument is "top". The others: an address, or flags that name one
/// (--status, or -c FILE that has it); --once prints one frame and ends. Until `q` or a signal. Returns the
/// exit code: 0 as asked, 1 no status, 2 wrong usage.
int run_top(const CommandInput& process);

}  // namespace kcptun
