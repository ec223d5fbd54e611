// What users and Go's kcptun write in more than one way, brought into one before it is validated.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace kcptun {

/// Takes blanks from around addresses, moves numbers to the end of their range that they mean
/// (beyond_range_of), takes another name of a cipher for its own, and applies the mode. Returns a warning for
/// each value that is not the one that was written.
std::vector<std::string> normalise(Settings& settings);

}  // namespace kcptun
