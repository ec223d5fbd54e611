#include "daemon/net/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/base/check.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// Parses a decimal number that is the whole text. Fails on overflow.
template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Parses an interface's name or number.
std::optional<std::uint32_t> parse_scope(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (unsigned index = if_nametoindex(text.c_str())) return index;
  auto number = parse_number<std::uint32_t>(text);
  return number && *number != 0 ? number : std::nullopt;
}

std::optional<IpEndpoint> parse_ipv6(const std::string& text, std::uint16_t port) {
  const std::size_t percent = text.find('%');
  in6_addr address;
  if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &address) != 1) return std::nullopt;
  IpEndpoint endpoint;
  std::memcpy(endpoint.ip.data(), &address, 16);
  endpoint.port = port;
  if (percent == std::string::npos) return endpoint;
  auto scope = parse_scope(text.substr(percent + 1));
  if (!scope || !is_link_local(endpoint)) return std::nullopt;
  endpoint.scope = *scope;
  return endpoint;
}

}  // namespace

bool is_ipv4(const IpEndpoint& endpoint) {
  return std::memcmp(endpoint.ip.data(), kMappedPrefix.data(), kMappedPrefix.size()) == 0;
}

bool is_wildcard(const IpEndpoint& endpoint) {
  const auto* rest = endpoint.ip.data() + (is_ipv4(endpoint) ? kMappedPrefix.size() : 0);
  return std::all_of(rest, endpoint.ip.data() + 16, [](std::uint8_t byte) { return byte == 0; });
}

bool has_family(int family) {
  const FileDescriptor probe(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return probe.valid() || errno != EAFNOSUPPORT;
}

namespace {

// False if the kernel has no IPv6 (ipv6.disable=1), denies it to this process (seccomp), or has removed its
// addresses (disable_ipv6). Other errors surface when the caller opens its own socket.
bool has_ipv6() {
  const FileDescriptor probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return errno != EAFNOSUPPORT;
  const SocketAddress any = to_sockaddr(IpEndpoint{}, AF_INET6);
  return ::bind(probe.get(), any.get(), any.size) == 0 || errno != EADDRNOTAVAIL;
}

}  // namespace

IpEndpoint usable_wildcard(const IpEndpoint& endpoint) {
  if (!is_wildcard(endpoint) || is_ipv4(endpoint) || has_ipv6()) return endpoint;
  return {mapped_ipv4(in_addr{INADDR_ANY}), 0, endpoint.port};
}

bool is_loopback(const IpEndpoint& endpoint) {
  if (is_ipv4(endpoint)) return endpoint.ip[12] == 127;
  return std::all_of(endpoint.ip.begin(), endpoint.ip.end() - 1,
                     [](std::uint8_t byte) { return byte == 0; }) &&
         endpoint.ip[15] == 1;
}

bool is_link_local(const IpEndpoint& endpoint) {
  return endpoint.ip[0] == 0xfe && (endpoint.ip[1] & 0xc0) == 0x80;
}

std::array<std::uint8_t, 16> mapped_ipv4(in_addr address) {
  std::array<std::uint8_t, 16> ip;
  std::memcpy(ip.data(), kMappedPrefix.data(), kMappedPrefix.size());
  std::memcpy(ip.data() + kMappedPrefix.size(), &address, 4);
  return ip;
}

in_addr ipv4_of(const IpEndpoint& endpoint) {
  in_addr address;
  std::memcpy(&address, endpoint.ip.data() + kMappedPrefix.size(), 4);
  return address;
}

SocketAddress to_sockaddr(const IpEndpoint& endpoint, int family) {
  SocketAddress result{};
  if (family == AF_INET) {
    KCPTUN_CHECK(is_ipv4(endpoint));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr = ipv4_of(endpoint);
    std::memcpy(&result.storage, &address, sizeof address);
    result.size = sizeof address;
    return result;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  address.sin6_scope_id = endpoint.scope;
  std::memcpy(&address.sin6_addr, endpoint.ip.data(), 16);
  std::memcpy(&result.storage, &address, sizeof address);
  result.size = sizeof address;
  return result;
}

SocketAddress to_sockaddr(const IpEndpoint& endpoint) {
  return to_sockaddr(endpoint, is_ipv4(endpoint) ? AF_INET : AF_INET6);
}

std::optional<IpEndpoint> from_sockaddr(const sockaddr* address, socklen_t size) {
  if (size < sizeof(sa_family_t)) return std::nullopt;
  IpEndpoint endpoint;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    endpoint.ip = mapped_ipv4(in.sin_addr);
    endpoint.port = ntohs(in.sin_port);
    return endpoint;
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in;
    std::memcpy(&in, address, sizeof in);
    std::memcpy(endpoint.ip.data(), &in.sin6_addr, 16);
    endpoint.scope = in.sin6_scope_id;
    endpoint.port = ntohs(in.sin6_port);
    return endpoint;
  }
  return std::nullopt;
}

std::string ip_to_string(const IpEndpoint& endpoint) {
  char text[INET6_ADDRSTRLEN];
  if (is_ipv4(endpoint)) {
    const in_addr address = ipv4_of(endpoint);
    return inet_ntop(AF_INET, &address, text, sizeof text);
  }
  std::string result = inet_ntop(AF_INET6, endpoint.ip.data(), text, sizeof text);
  if (endpoint.scope == 0) return result;
  char name[IF_NAMESIZE];
  result += '%';
  result += if_indextoname(endpoint.scope, name) ? name : std::to_string(endpoint.scope);
  return result;
}

std::string to_string(const IpEndpoint& endpoint) {
  const std::string ip = ip_to_string(endpoint);
  const std::string port = std::to_string(endpoint.port);
  return is_ipv4(endpoint) ? ip + ":" + port : "[" + ip + "]:" + port;
}

std::optional<IpEndpoint> parse_ip(std::string_view text, std::uint16_t port) {
  IpEndpoint endpoint;
  endpoint.port = port;
  if (text.empty()) return endpoint;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string copy(text);
  in_addr address;
  if (inet_pton(AF_INET, copy.c_str(), &address) != 1) return parse_ipv6(copy, port);
  endpoint.ip = mapped_ipv4(address);
  return endpoint;
}

std::optional<IpEndpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
  return parse_ip(host, *port);
}

}  // namespace kcptun
