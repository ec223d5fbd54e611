#include "daemon/net/original_destination.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

// linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h, which do not compile beside netinet/in.h.
constexpr int kSoOriginalDst = 80;
// linux/in6.h.
constexpr int kIpv6Transparent = 75;
constexpr int kIpv6ReceiveOriginalDestination = 74;

template <typename T>
SocketAddress socket_address(const T& name) {
  SocketAddress address{};
  std::memcpy(&address.storage, &name, sizeof name);
  address.size = sizeof name;
  return address;
}

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

bool receive_foreign_datagrams(int fd, int family) {
  if (!accept_foreign_addresses(fd, family)) return false;
  if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, kIpv6ReceiveOriginalDestination, 1)) return false;
  return set_option(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, 1);
}

std::optional<IpEndpoint> original_destination(const cmsghdr* control) {
  const bool ipv4 = control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_ORIGDSTADDR;
  const bool ipv6 =
      control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == kIpv6ReceiveOriginalDestination;
  if (!ipv4 && !ipv6) return std::nullopt;
  const SocketAddress address = ipv4 ? socket_address(control_value<sockaddr_in>(control))
                                     : socket_address(control_value<sockaddr_in6>(control));
  return from_sockaddr(address.get(), address.size);
}

bool accept_foreign_addresses(int fd, int family) {
  if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, kIpv6Transparent, 1)) return false;
  return set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

}  // namespace kcptun
