// The whole of either program: from its arguments to its exit code.
#pragma once

#include "core/base/settings.h"

namespace kcptun {

/// Runs the client or the server until a signal ends it. 0: ended as asked; 1: it cannot run; 2: wrong usage.
int run_program(Role role, int argc, char** argv);

}  // namespace kcptun
