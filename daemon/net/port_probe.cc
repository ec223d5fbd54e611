#include "daemon/net/port_probe.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {
namespace {

IpEndpoint ipv4_wildcard(std::uint16_t port) { return {mapped_ipv4(in_addr{INADDR_ANY}), 0, port}; }

// Probes without SO_REUSEPORT. With it, a port that another SO_REUSEPORT program uses would appear free.
bool is_taken(const IpEndpoint& address, PortKind kind) {
  const int type = kind == PortKind::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  const bool both_families = is_wildcard(address) && !is_ipv4(address);
  int family = is_ipv4(address) ? AF_INET : AF_INET6;
  FileDescriptor fd(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!fd.valid() && both_families) fd = FileDescriptor(::socket(family = AF_INET, type | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return false;
  if (kind == PortKind::kTcp) set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, both_families ? 0 : 1);
  const bool mapped = both_families && family == AF_INET;
  const SocketAddress name = to_sockaddr(mapped ? ipv4_wildcard(address.port) : address, family);
  return ::bind(fd.get(), name.get(), name.size) != 0 && errno == EADDRINUSE;
}

}  // namespace

std::vector<std::uint16_t> free_ports(IpEndpoint address, std::uint16_t port_max, PortKind kind,
                                      const std::function<bool(const IpEndpoint&)>& counts_as_free) {
  const std::uint16_t port_min = address.port;
  std::vector<std::uint16_t> free;
  for (std::uint32_t port = port_min; port <= port_max; ++port) {
    address.port = static_cast<std::uint16_t>(port);
    const bool assumed_free = port_min == port_max || (counts_as_free && counts_as_free(address));
    if (assumed_free || !is_taken(address, kind)) free.push_back(address.port);
  }
  if (!free.empty()) return free;
  for (std::uint32_t port = port_min; port <= port_max; ++port)
    free.push_back(static_cast<std::uint16_t>(port));
  return free;
}

std::vector<PortRange> ranges_of(std::span<const std::uint16_t> ports) {
  std::vector<PortRange> stretches;
  for (const std::uint16_t port : ports) {
    if (stretches.empty() || port != stretches.back().last + 1) stretches.push_back({port, port});
    stretches.back().last = port;
  }
  return stretches;
}

std::string ports_text(std::span<const std::uint16_t> ports) {
  std::string text;
  for (const PortRange& stretch : ranges_of(ports)) {
    text.append(text.empty() ? "" : ", ").append(std::to_string(stretch.first));
    if (stretch.last != stretch.first) text.append("-").append(std::to_string(stretch.last));
  }
  return text;
}

}  // namespace kcptun
