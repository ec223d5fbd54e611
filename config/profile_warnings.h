// Warns of valid but harmful settings in a profile, for example a key or a cipher that protects nothing.
#pragma once

#include <string>
#include <vector>

#include "config/profile.h"

namespace kcptun {

/// Returns one line for each warning. REQUIRES: a profile from validate().
std::vector<std::string> profile_warnings(const Profile& profile);

}  // namespace kcptun
