// What a profile may have and should not: a key or a cipher that protects nothing, and the like.
#pragma once

#include <string>
#include <vector>

#include "config/profile.h"

namespace kcptun {

/// One line for each. REQUIRES: a profile from validate().
std::vector<std::string> profile_warnings(const Profile& profile);

}  // namespace kcptun
