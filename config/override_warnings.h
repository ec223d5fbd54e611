// Warns of values of the command line, KCPTUN_KEY and SS_PLUGIN_OPTIONS that the file of -c overrides.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace kcptun {

/// One line for each value in `before` that `after` takes from the file with another value. `key` and
/// `key-file` count as one option, as in resolve_file().
std::vector<std::string> override_warnings(const Settings& before, const Settings& after);

}  // namespace kcptun
