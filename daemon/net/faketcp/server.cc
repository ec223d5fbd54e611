#include "daemon/net/faketcp/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

constexpr int kBacklog = 4096;  // the kernel clamps it to net.core.somaxconn

// A socket bound to the port, for both families if possible. On failure errno is set.
FileDescriptor bind_tcp(const IpEndpoint& address, int family, bool shared) {
  FileDescriptor fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fd;
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (shared) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  const SocketAddress name = to_sockaddr(address, family);
  if (::bind(fd.get(), name.get(), name.size) == 0 && hide_data_from_kernel(fd.get())) return fd;
  const int error = errno;
  fd = FileDescriptor();
  errno = error;
  return fd;
}

}  // namespace

Result<std::unique_ptr<FakeTcpServer>> FakeTcpServer::listen(IpEndpoint address,
                                                             std::span<const std::uint16_t> ports,
                                                             Share share, const Options& options) {
  address.port = ports.front();
  std::unique_ptr<FakeTcpServer> server(new FakeTcpServer(usable_wildcard(address), share, options));
  const int family = is_ipv4(server->local_) ? AF_INET : AF_INET6;
  if (Result<bool> opened = server->open_raw_sockets(family); !opened) return Error{opened.error()};
  if (!server->filter_raw({ports.front(), ports.back(), share.number, share.of}))
    return system_error("cannot filter what a raw socket gets");
  for (const std::uint16_t port : ports)
    if (Result<bool> opened = server->open_listener(port, family); !opened) return Error{opened.error()};
  return server;
}

// For a wildcard, IPv4 may be unavailable.
Result<bool> FakeTcpServer::open_raw_sockets(int family) {
  const bool wants_ipv4 = family == AF_INET || (is_wildcard(local_) && has_family(AF_INET));
  if (wants_ipv4)
    if (Result<bool> opened = open_raw(AF_INET); !opened) return opened;
  return family == AF_INET6 ? open_raw(AF_INET6) : true;
}

Result<bool> FakeTcpServer::open_listener(std::uint16_t port, int family) {
  IpEndpoint address = local_;
  address.port = port;
  const bool shared = share_.of > 1;
  const std::string name = "cannot listen on TCP " + to_string(address);
  // With SO_REUSEPORT, a port that another program uses appears free. Probe it without.
  if (shared && share_.number == 0 && !bind_tcp(address, family, false).valid()) return system_error(name);
  FileDescriptor fd = bind_tcp(address, family, shared);
  if (!fd.valid() || ::listen(fd.get(), kBacklog) != 0) return system_error(name);
  if (shared && share_.number == 0 && !share_by_remote_port(fd.get(), share_.of)) return system_error(name);
  // Edge-triggered: a connection that cannot be accepted for lack of descriptors waits for the next arrival,
  // without a busy loop.
  if (!watch(fd.get(), EPOLLIN | EPOLLET)) return system_error(name);
  listeners_.push_back(std::move(fd));
  return true;
}

void FakeTcpServer::handle_ready(int listener) {
  while (true) {
    FileDescriptor fd(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid() && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (!fd.valid()) return;
    auto connection = make_fake_tcp_connection(std::move(fd));
    if (connection) add(std::move(*connection));
  }
}

}  // namespace kcptun
