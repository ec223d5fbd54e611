// The header by which a target learns the address of its client: HAProxy's PROXY protocol
// (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt), versions 1 and 2.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/path.h"

namespace kcptun {

enum class ProxyHeaderVersion : std::uint8_t { kV1, kV2 };

/// The header's bytes, as the first of a connection: at most 107 in version 1, 28 or 52 in version 2.
/// `client` connected to `server`. As IPv4 if both addresses are, else as IPv6.
std::vector<std::uint8_t> proxy_header(ProxyHeaderVersion version, const IpEndpoint& client,
                                       const IpEndpoint& server);

}  // namespace kcptun
