// Addresses as kcptun's users write them: ":12948", "vps:29900", "[fe80::1%eth0]:29900", "host:3000-3100", a
// path. Names of hosts are resolved by the daemon; names of services (":http") are looked up here, as Go
// does.
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

/// The word that stands in place of a server's target where each stream names its own.
inline constexpr std::string_view kRequestTarget = "socks5";

/// What an address is for, and so which forms it may take.
enum class AddressUse : std::uint8_t {
  kStreamListen,    // host:port (0: any) or a unix path     client's localaddr
  kDatagramListen,  // host:port (0: any) or a port range     server's listen
  kDatagramDial,    // host:port or a port range              client's remoteaddr
  kStreamDial,      // host:port or a unix path               server's target
};

/// Where a unix path is allowed, text with a leading '@' is one, and text with a '/' and without "://".
/// (kcptun takes whatever does not split into host and port for a path, typing errors included.) Blanks
/// around it, around the host and around the port do not count. The error is a predicate: "has no port", to
/// stand behind the text it is about.
Result<Address> parse_address(std::string_view given, AddressUse use);

/// "192.0.2.7" or "2001:db8::7", without brackets, zone and port.
std::optional<IpAddress> parse_ip_literal(const std::string& text);

/// An address as the user wrote it.
std::string to_text(const Address& address);
/// The client's servers with commas between, or the server's target, which may be kRequestTarget.
std::string remote_text(const Profile& profile);
/// The host to dial: an empty one means this machine.
std::string dialled_host(const HostPort& address);

}  // namespace kcptun
