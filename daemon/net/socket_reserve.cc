#include "daemon/net/socket_reserve.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

constexpr int kMaxWaiting = 65536;  // datagrams to read and drop at most

// Resets the socket for its next session: no peer, no port, no queued datagrams, and the default
// fragmentation policy.
bool reset_socket(int fd, int family) {
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  if (::connect(fd, &nobody, sizeof nobody) != 0) return false;
  char byte;
  for (int left = kMaxWaiting; left > 0; --left)
    if (::recv(fd, &byte, sizeof byte, MSG_DONTWAIT) < 0 && errno == EAGAIN) break;
  set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT);
  return family == AF_INET || set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT);
}

}  // namespace

// True if the kernel would not grant the mark or the size of the buffers to a new socket.
bool SocketReserve::exceeds_unprivileged_limit(int fd) const {
  return uplink_.mark != 0 || granted_buffer(fd, SO_RCVBUF) > grantable_buffer(SO_RCVBUF, bytes_) ||
         granted_buffer(fd, SO_SNDBUF) > grantable_buffer(SO_SNDBUF, bytes_);
}

void SocketReserve::fill(int family, std::size_t count) {
  for (; bytes_ > 0 && count > 0 && sockets_.size() < kMaxSockets; --count) {
    FileDescriptor fd(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return;
    set_buffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, bytes_);
    set_buffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, bytes_);
    if (!mark_for_uplink(fd.get(), uplink_) || !exceeds_unprivileged_limit(fd.get())) return;
    sockets_.emplace_back(family, std::move(fd));
  }
}

FileDescriptor SocketReserve::take(int family) {
  const auto it = std::ranges::find(sockets_, family, [](const auto& entry) { return entry.first; });
  if (it == sockets_.end()) return FileDescriptor();
  FileDescriptor fd = std::move(it->second);
  sockets_.erase(it);
  return fd;
}

void SocketReserve::reclaim(int fd) {
  if (bytes_ == 0 || sockets_.size() >= kMaxSockets || !exceeds_unprivileged_limit(fd)) return;
  const int family = get_option(fd, SOL_SOCKET, SO_DOMAIN);
  FileDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (copy.valid() && reset_socket(copy.get(), family)) sockets_.emplace_back(family, std::move(copy));
}

}  // namespace kcptun
