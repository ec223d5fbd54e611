#include "daemon/net/transparent_replies.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "daemon/net/address.h"
#include "daemon/net/original_destination.h"
#include "daemon/net/socket_options.h"

namespace kcptun {

FileDescriptor bind_transparent(const IpEndpoint& address) {
  const SocketAddress name = to_sockaddr(address);
  const int family = name.storage.ss_family;
  FileDescriptor fd(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!fd.valid()) return fd;
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);  // several entrances may answer from one address
  if (family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (accept_foreign_addresses(fd.get(), family) && ::bind(fd.get(), name.get(), name.size) == 0) return fd;
  const int error = errno;
  fd = FileDescriptor();
  errno = error;
  return fd;
}

int TransparentReplies::socket_of(const IpEndpoint& from) {
  if (const auto known = by_address_.find(from); known != by_address_.end()) {
    sockets_.splice(sockets_.begin(), sockets_, known->second);
    return known->second->fd.get();
  }
  FileDescriptor fd = bind_transparent(from);
  if (!fd.valid()) return -1;
  if (sockets_.size() >= kMaxSockets) {
    by_address_.erase(sockets_.back().address);
    sockets_.pop_back();
  }
  sockets_.push_front({from, std::move(fd)});
  by_address_[from] = sockets_.begin();
  return sockets_.front().fd.get();
}

bool TransparentReplies::send(const IpEndpoint& from, const IpEndpoint& to, Bytes payload) {
  const int fd = socket_of(from);
  if (fd < 0) {
    ++counters_.refused;
    return false;
  }
  const SocketAddress name = to_sockaddr(to, is_ipv4(from) ? AF_INET : AF_INET6);
  const bool taken = ::sendto(fd, payload.data(), payload.size(), 0, name.get(), name.size) >= 0;
  ++(taken ? counters_.sent : counters_.dropped);
  return true;
}

}  // namespace kcptun
