// --init as seen by the user: the file, and what the terminal shows.
#pragma once

#include "config/init.h"

namespace kcptun {

/// Writes one profile (a new file, mode 0600; nothing is ever overwritten) and prints how to go on: the
/// pairing string, its QR code if standard output is a terminal, and the other side's profile. The exit code.
int run_init(const InitPair& init);

}  // namespace kcptun
