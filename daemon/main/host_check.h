// What --check can find out only on the machine that will run the profile.
#pragma once

#include <string>
#include <vector>

#include "config/profile.h"

namespace kcptun {

/// One line for each user, group and folder that the profile names and this machine does not have. They are
/// warnings: the profile may be meant for another machine.
std::vector<std::string> missing_on_this_host(const Profile& profile);

}  // namespace kcptun
