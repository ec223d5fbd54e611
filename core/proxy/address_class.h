// Which addresses are public, and which belong to a network that the public cannot reach.
#pragma once

#include <optional>

#include "core/base/ip_network.h"

namespace kcptun {

/// The special-purpose network that the address is in, if it is in one: private, shared, loopback,
/// link-local, multicast, unspecified, reserved, or of a cloud's metadata service. An address that embeds a
/// special IPv4 address is special too; its network then consists of the addresses that embed that IPv4
/// network.
std::optional<IpNetwork> special_network(const IpAddress& address);

/// The IPv4 address in a NAT64 (RFC 6052) or 6to4 (RFC 3056) address. A translator or a relay on the way
/// connects to that one.
std::optional<IpAddress> embedded_ipv4(const IpAddress& address);

}  // namespace kcptun
