// Settings to a profile: ranges, choices, combinations, addresses.
#pragma once

#include <string>
#include <variant>

#include "config/profile.h"
#include "config/settings.h"

namespace kcptun {

/// Writes what --mode means into nodelay, interval, resend and nc; with manual, moves interval into its
/// range. Returns a warning for that, else "". REQUIRES: nothing.
std::string apply_mode(Settings& settings);

/// The profile, or the first complaint. REQUIRES: apply_mode() was called.
std::variant<Profile, ValidationError> validate(const Settings& settings);

/// True where the program itself chooses the value of an option that takes the word "auto": the window
/// follows the path, the buffers follow the window, or the mtu is searched for.
bool is_automatic(const Settings& settings, OptionId id);

/// The number of a kNumber: where it has its word, that of the default. REQUIRES: apply_mode() was called.
std::int64_t number_in_force(const Settings& settings, OptionId id);

}  // namespace kcptun
