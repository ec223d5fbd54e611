// Keeps the users' key where nobody looks for it: out of the process's list of arguments and its environment.
#pragma once

#include <string>

#include "config/command.h"
#include "config/options.h"

namespace kcptun {

/// Overwrites what /proc/PID/cmdline shows of each --key, --status-token and pairing string, and in /proc/PID/environ the
/// values of KCPTUN_KEY and SS_PLUGIN_OPTIONS. Call it once they have been read: who reads them again finds
/// them blank.
void hide_secrets(Role role, int argc, char** argv);

/// Puts a digest in place of the key that a tunnel was told, which serves to see whether it has changed. The profile
/// keeps the key. Digests of different processes can't be compared.
void forget_key(ConfiguredTunnel& tunnel);

}  // namespace kcptun
