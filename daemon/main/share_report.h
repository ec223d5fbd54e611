// How a terminal shows a pairing string: as a command that fits 80 columns, and as a QR code where there is
// room.
#pragma once

#include <string>
#include <string_view>

#include "config/profile.h"

namespace kcptun {

/// "kcptun-client -c 'kcptun://...'" as indented lines of at most 80 columns. A shell takes them as one
/// command, for the string may have white space in it.
std::string pairing_command(Role role, std::string_view pairing);

/// The string as a QR code, if standard output is a terminal that shows it whole, else what size would.
/// "" where standard output is none.
std::string qr_part(std::string_view pairing);

}  // namespace kcptun
