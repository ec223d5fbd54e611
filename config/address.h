// Parses and prints addresses in kcptun's syntax: ":12948", "vps:29900", "[fe80::1%eth0]:29900",
// "host:3000-3100" or a path. Service names (":http") become port numbers here, as in Go. Host names stay
// text; the daemon resolves them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/profile.h"
#include "core/base/ip_network.h"
#include "core/base/result.h"

namespace kcptun {

/// Longest path of a unix socket: sockaddr_un holds 108 bytes with its final NUL.
inline constexpr std::size_t kMaxUnixPath = 107;

/// The value of a server's target if each stream carries a request that names its target.
inline constexpr std::string_view kRequestTarget = "socks5";

/// Between the scheme of a URL, or of one side of a forward, and the rest.
inline constexpr std::string_view kSchemeEnd = "://";

/// The purpose of an address, which decides the forms that are accepted.
enum class AddressUse : std::uint8_t {
  kStreamListen,    // host:port (0: any) or a unix path     client's localaddr
  kDatagramListen,  // host:port (0: any) or a port range     server's listen
  kDatagramDial,    // host:port or a port range              client's remoteaddr
  kStreamDial,      // host:port or a unix path               server's target
};

/// If `use` allows a unix path, text with a leading '@' is a path, and so is text with a '/' but without
/// "://". (kcptun treats all text that does not split into host and port as a path, typing errors included.)
/// Blanks around the text, the host and the port are ignored. The error is a predicate, such as "has no
/// port"; the caller puts the text in front of it.
Result<Address> parse_address(std::string_view given, AddressUse use);

/// "192.0.2.7" or "2001:db8::7", without brackets, zone and port.
std::optional<IpAddress> parse_ip_literal(const std::string& text);

/// The address in the syntax that parse_address() accepts.
std::string to_text(const Address& address);
/// The client's servers, separated by commas, or the server's target, which may be kRequestTarget.
std::string remote_text(const Profile& profile);
/// The host to dial; an empty host means this machine.
std::string dialled_host(const HostPort& address);

}  // namespace kcptun
