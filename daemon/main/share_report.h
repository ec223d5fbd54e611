// Formats a pairing string for a terminal: as a command within 80 columns, and as a QR code if the terminal
// is large enough.
#pragma once

#include <string>
#include <string_view>

#include "config/profile.h"

namespace kcptun {

/// Returns "kcptun-client -c 'kcptun://...'" as indented lines of at most 80 columns. The lines paste into a
/// shell as one command, because a pairing string may contain white space.
std::string pairing_command(Role role, std::string_view pairing);

/// Returns the string as a QR code if standard output is a terminal that can show all of it, else the
/// terminal size that it needs. Returns "" if standard output is not a terminal.
std::string qr_part(std::string_view pairing);

}  // namespace kcptun
