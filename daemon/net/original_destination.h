// Where a connection was going before a firewall rule led it here (Linux).
#pragma once

#include <sys/socket.h>

#include <optional>

#include "core/base/path.h"

namespace kcptun {

/// Before a REDIRECT (netfilter's SO_ORIGINAL_DST, for IPv4 and IPv6). Nothing if no rule redirected the
/// connection.
std::optional<IpEndpoint> redirected_destination(int fd);

/// The local address of a connection; behind a TPROXY rule its destination.
std::optional<IpEndpoint> local_endpoint(int fd);

/// Lets the listening socket accept connections to addresses of other machines, as TPROXY delivers them. To
/// call before bind(). Needs CAP_NET_ADMIN. False, with errno, if the kernel refuses.
bool accept_foreign_addresses(int fd, int family);

/// The same for a UDP socket, which then reports where each datagram was sent.
bool receive_foreign_datagrams(int fd, int family);
/// What it reports. Nothing if the message has another meaning.
std::optional<IpEndpoint> original_destination(const cmsghdr* control);

}  // namespace kcptun
