// Settings to a profile: ranges, choices, combinations, addresses, then what a user should be warned of.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "config/profile.h"
#include "config/settings.h"

namespace kcptun {

/// Writes what --mode means into nodelay, interval, resend and nc; with manual, moves interval into its
/// range. Returns a warning for that, else "". REQUIRES: nothing.
std::string apply_mode(Settings& settings);

/// The profile, or the first complaint. REQUIRES: apply_mode() was called.
std::variant<Profile, ValidationError> validate(const Settings& settings);

/// The public default key, ciphers without secrecy, weak QPP, and the like. REQUIRES: a profile from
/// validate().
std::vector<std::string> profile_warnings(const Profile& profile);

}  // namespace kcptun
