// kcptun-client probe: what the path to a server is like, and a profile that fits.
#pragma once

#include "config/command.h"

namespace kcptun {

/// Measures, printing as it goes. The exit code: 0, or 1 when nothing answers.
int run_probe(const RunSubcommand& run);

}  // namespace kcptun
