// Reduces values that users and Go's kcptun write in several ways to one form, before validation.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace kcptun {

/// Removes blanks around addresses, clamps numbers as beyond_range_of() specifies, replaces aliases of
/// ciphers, and applies the mode. Returns a warning for each value whose meaning differs from what was
/// written.
std::vector<std::string> normalise(Settings& settings);

}  // namespace kcptun
