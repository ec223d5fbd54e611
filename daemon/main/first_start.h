// Runs --init and --share: writes the profile file and prints the next steps within 80 columns.
#pragma once

#include "config/init.h"

namespace kcptun {

/// Writes one profile to a new file of mode 0600 and prints the next steps, which include the pairing string.
/// Never overwrites a file. With --print it also prints the other side's profile. On a terminal that is large
/// enough it also prints the pairing string as a QR code. Returns the exit code.
int run_init(const InitPair& init);

/// Prints the pairing string of each tunnel. Returns the exit code.
int run_share(const ShareRequest& share);

}  // namespace kcptun
