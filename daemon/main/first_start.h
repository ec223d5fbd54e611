// --init and --share as seen by the user: the file, and what the terminal shows in 80 columns.
#pragma once

#include "config/init.h"

namespace kcptun {

/// Writes one profile (a new file, mode 0600; nothing is ever overwritten) and prints the next steps, with
/// the pairing string in them; before, with --print, the other side's profile, and on a terminal with room
/// the string's QR code. Returns the exit code.
int run_init(const InitPair& init);

/// Prints the pairing string of each tunnel. Returns the exit code.
int run_share(const ShareRequest& share);

}  // namespace kcptun
