#include "daemon/net/uplink.h"

#include <net/if.h>
#include <sys/socket.h>

#include <array>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

std::string interface_of(int fd) {
  std::array<char, IFNAMSIZ> name{};
  socklen_t size = IFNAMSIZ;
  if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.data(), &size) != 0) return {};
  return name.data();
}

}  // namespace

Result<bool> mark_for_uplink(int fd, const Uplink& uplink) {
  const int mark = static_cast<int>(uplink.mark);
  if (mark != 0 && get_option(fd, SOL_SOCKET, SO_MARK) != mark && !set_option(fd, SOL_SOCKET, SO_MARK, mark))
    return system_error("cannot set fwmark " + std::to_string(uplink.mark) + ", which needs CAP_NET_ADMIN");
  const std::string& name = uplink.interface;
  if (name.empty() || interface_of(fd) == name) return true;
  if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.c_str(), static_cast<socklen_t>(name.size() + 1)) != 0)
    return system_error("cannot send through interface " + name);
  return true;
}

Result<bool> bind_to_uplink(int fd, int family, const Uplink& uplink) {
  if (Result<bool> marked = mark_for_uplink(fd, uplink); !marked) return marked;
  if (!uplink.address) return true;
  const std::string name = ip_to_string(*uplink.address);
  if (family == AF_INET && !is_ipv4(*uplink.address))
    return Error{"cannot bind to " + name + ", as the server's address is of IPv4"};
  if (family == AF_INET6 && is_ipv4(*uplink.address))
    return Error{"cannot bind to " + name + ", as the server's address is of IPv6"};
  const SocketAddress address = to_sockaddr(*uplink.address);
  if (::bind(fd, address.get(), address.size) != 0) return system_error("cannot bind to " + name);
  return true;
}

}  // namespace kcptun
