// Makes a profile from settings. Checks ranges, choices, combinations of options, and addresses.
#pragma once

#include <string>
#include <variant>

#include "config/profile.h"
#include "config/settings.h"

namespace kcptun {

/// Sets nodelay, interval, resend and nc to the values of --mode. With mode manual, clamps interval to its
/// range and returns a warning if that changed it; else returns "".
std::string apply_mode(Settings& settings);

/// Returns the profile or the first error. REQUIRES: apply_mode() was called.
std::variant<Profile, ValidationError> validate(const Settings& settings);

/// True if the program chooses the value of an option that accepts "auto": a window grows with the path,
/// buffers grow with the window, the mtu is searched for, or sessions are added under load.
bool is_automatic(const Settings& settings, OptionId id);

/// The number of a kNumber; the default if the option is set to its word. REQUIRES: apply_mode() was called.
std::int64_t number_in_force(const Settings& settings, OptionId id);

}  // namespace kcptun
