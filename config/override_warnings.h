// Values of the command line, of KCPTUN_KEY and of SS_PLUGIN_OPTIONS that lose against the file of -c.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace kcptun {

/// One line for each value in `before` that `after` has from the file, and with another value. A key and a
/// key file count as one, as they do in resolve_key().
std::vector<std::string> override_warnings(const Settings& before, const Settings& after);

}  // namespace kcptun
