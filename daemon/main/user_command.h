// kcptun-server user: edits the users' file of a profile.
#pragma once

#include "config/command.h"

namespace kcptun {

/// `user add NAME`, `user remove NAME` or `user list`. Returns the exit code. Two of them at once wait for
/// each other. The file is replaced as a whole, so that a server never reads a half of it.
int run_user(const RunSubcommand& run);

}  // namespace kcptun
