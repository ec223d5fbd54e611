// The address at which clients can reach this machine, as far as the machine can determine it.
#pragma once

#include <optional>

#include "core/base/path.h"

namespace kcptun {

/// The source address of a route to the Internet (IPv4 first; no packet is sent), else the first address of
/// an interface that is up, else nothing. Never a loopback or link-local address. Behind NAT it is the
/// private address.
std::optional<IpEndpoint> own_address();

}  // namespace kcptun
