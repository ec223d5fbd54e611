// kcptun-client probe: measures the path to a server and suggests a profile for it.
#pragma once

#include "config/command.h"

namespace kcptun {

/// Measures and prints each result as it arrives. Returns the exit code: 0, or 1 if nothing answers.
int run_probe(const RunSubcommand& run);

}  // namespace kcptun
