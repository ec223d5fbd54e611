#include "daemon/net/original_destination.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

// linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h, which do not compile beside netinet/in.h.
constexpr int kSoOriginalDst = 80;
// linux/in6.h.
constexpr int kIpv6Transparent = 75;

}  // namespace

std::optional<IpEndpoint> local_endpoint(int fd) {
  SocketAddress address{};
  address.size = sizeof address.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0)
    return std::nullopt;
  return from_sockaddr(address.get(), address.size);
}

std::optional<IpEndpoint> redirected_destination(int fd) {
  const std::optional<IpEndpoint> local = local_endpoint(fd);
  if (!local) return std::nullopt;
  const int level = is_ipv4(*local) ? static_cast<int>(IPPROTO_IP) : static_cast<int>(IPPROTO_IPV6);
  SocketAddress address{};
  address.size = sizeof address.storage;
  if (::getsockopt(fd, level, kSoOriginalDst, &address.storage, &address.size) != 0) return std::nullopt;
  const std::optional<IpEndpoint> original = from_sockaddr(address.get(), address.size);
  if (!original || *original == *local) return std::nullopt;
  return original;
}

bool accept_foreign_addresses(int fd, int family) {
  if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, kIpv6Transparent, 1)) return false;
  return set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

}  // namespace kcptun
