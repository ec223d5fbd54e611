// Keeps the users' key where nobody looks for it: out of the process's list of arguments and its environment.
#pragma once

#include <string>

#include "config/options.h"

namespace kcptun {

/// Overwrites what /proc/PID/cmdline shows of each --key and pairing string, and in /proc/PID/environ the
/// values of KCPTUN_KEY and SS_PLUGIN_OPTIONS. Call it once they have been read: who reads them again finds
/// them blank.
void hide_secrets(Role role, int argc, char** argv);

/// Overwrites the text and empties it.
void wipe(std::string& secret);

}  // namespace kcptun
