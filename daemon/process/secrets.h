// Removes the users' key from the process's argument list and environment, which other users can read.
#pragma once

#include <string>

#include "config/command.h"
#include "config/options.h"

namespace kcptun {

/// Overwrites the values of each --key, --status-token and pairing string in /proc/PID/cmdline, and those of
/// KCPTUN_KEY and SS_PLUGIN_OPTIONS in /proc/PID/environ. Call it after they have been read: later reads find
/// them blank.
void hide_secrets(Role role, int argc, char** argv);

/// Replaces the keys in a configured tunnel's settings by digests, which are enough to detect a change. The
/// profile keeps the keys. Digests of different processes cannot be compared.
void replace_keys_by_digests(ConfiguredTunnel& tunnel);

}  // namespace kcptun
