// The part of validation that reads addresses: where a program listens, where it connects, and where it
// serves its status.
#pragma once

#include <optional>

#include "config/profile.h"
#include "config/settings.h"

namespace kcptun {

/// Writes the addresses of `settings` into `profile`, or returns the first error.
std::optional<ValidationError> read_addresses(const Settings& settings, Profile& profile);

}  // namespace kcptun
