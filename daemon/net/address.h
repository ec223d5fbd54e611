// Conversions between IpEndpoint, socket addresses and text. Literals only: NameLookup resolves host names.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/path.h"
#include "core/base/result.h"

namespace kcptun {

/// A socket address of either family, ready for a system call.
struct SocketAddress {
  sockaddr_storage storage;
  socklen_t size;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// True for IPv4-mapped addresses, 0.0.0.0 included.
bool is_ipv4(const IpEndpoint& endpoint);
/// True for "::" (every address of both families) and 0.0.0.0 (every IPv4 address).
bool is_wildcard(const IpEndpoint& endpoint);
/// True if this process can open sockets of the family. A kernel without the family or a sandbox can prevent
/// it.
bool has_family(int family);
/// The wildcard that this machine can bind: "::" becomes 0.0.0.0 without IPv6. Other addresses are returned
/// unchanged.
IpEndpoint usable_wildcard(const IpEndpoint& endpoint);
/// True for 127.0.0.0/8 and ::1.
bool is_loopback(const IpEndpoint& endpoint);
/// True for fe80::/10. Only these addresses carry a scope.
bool is_link_local(const IpEndpoint& endpoint);

/// The IPv4-mapped form of an address in network byte order.
std::array<std::uint8_t, 16> mapped_ipv4(in_addr address);
/// REQUIRES: is_ipv4(endpoint).
in_addr ipv4_of(const IpEndpoint& endpoint);

/// The address for a socket of `family`: AF_INET, or AF_INET6 (IPv4 stays mapped).
/// REQUIRES: family is AF_INET6, or is_ipv4(endpoint).
SocketAddress to_sockaddr(const IpEndpoint& endpoint, int family);
/// As AF_INET for IPv4, as AF_INET6 otherwise.
SocketAddress to_sockaddr(const IpEndpoint& endpoint);
/// Nothing for families other than IPv4 and IPv6, or if `size` is too small for the family.
std::optional<IpEndpoint> from_sockaddr(const sockaddr* address, socklen_t size);

/// "1.2.3.4", "2001:db8::1", "fe80::1%eth0" (the interface's number if it has no name any more).
std::string ip_to_string(const IpEndpoint& endpoint);
/// "1.2.3.4:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80".
std::string to_string(const IpEndpoint& endpoint);

/// Parses an address literal without brackets; "" is the wildcard "::". Nothing for a name or malformed text.
std::optional<IpEndpoint> parse_ip(std::string_view text, std::uint16_t port);
/// Parses "1.2.3.4:80", "[::1]:80" or ":80". Nothing if the host is a name or the text is malformed.
std::optional<IpEndpoint> parse_endpoint(std::string_view text);

}  // namespace kcptun
