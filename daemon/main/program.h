// The entry point of both programs: from the arguments to the exit code.
#pragma once

#include "core/base/settings.h"

namespace kcptun {

/// Runs the client or the server until a signal stops it. Returns 0 after a requested stop, 1 if it cannot
/// run and 2 for wrong usage.
int run_program(Role role, int argc, char** argv);

}  // namespace kcptun
