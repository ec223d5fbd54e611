#include "daemon/net/own_address.h"

#include <ifaddrs.h>
#include <net/if.h>

#include <memory>

#include "daemon/net/address.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {
namespace {

socklen_t size_of(int family) { return family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6); }

bool is_of_this_host_only(const IpEndpoint& endpoint) {
  if (is_wildcard(endpoint) || is_link_local(endpoint)) return true;
  if (is_ipv4(endpoint)) return ntohl(ipv4_of(endpoint).s_addr) >> 24 == IN_LOOPBACKNET;
  return endpoint == parse_ip("::1", endpoint.port);
}

// A connected UDP socket has a source address; connect() sends no packet.
std::optional<IpEndpoint> source_towards(const IpEndpoint& destination) {
  const SocketAddress to = to_sockaddr(destination);
  const FileDescriptor fd(::socket(to.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::connect(fd.get(), to.get(), to.size) != 0) return std::nullopt;
  sockaddr_storage from;
  socklen_t size = sizeof from;
  auto* const address = reinterpret_cast<sockaddr*>(&from);
  if (::getsockname(fd.get(), address, &size) != 0) return std::nullopt;
  return from_sockaddr(address, size);
}

std::optional<IpEndpoint> first_of_an_interface(int family) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owned(list, &::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (!entry->ifa_addr || entry->ifa_addr->sa_family != family || !(entry->ifa_flags & IFF_UP)) continue;
    const auto address = from_sockaddr(entry->ifa_addr, size_of(family));
    if (address && !is_of_this_host_only(*address)) return address;
  }
  return std::nullopt;
}

}  // namespace

std::optional<IpEndpoint> own_address() {
  // Documentation addresses (RFC 5737, RFC 3849) stand for any host on the Internet.
  for (const char* world : {"192.0.2.1", "2001:db8::1"}) {
    const auto source = source_towards(*parse_ip(world, 9));
    if (source && !is_of_this_host_only(*source)) return source;
  }
  const auto ipv4 = first_of_an_interface(AF_INET);
  return ipv4 ? ipv4 : first_of_an_interface(AF_INET6);
}

}  // namespace kcptun
