// Which address this machine is found at, as far as it can know itself.
#pragma once

#include <optional>

#include "core/base/path.h"

namespace kcptun {

/// The address that packets to the world leave from (IPv4 first; nothing is sent), else the first of an
/// interface that is up, else nothing. Never a loopback or link-local one. Behind NAT it is the private one.
std::optional<IpEndpoint> own_address();

}  // namespace kcptun
