#include "daemon/net/udp_socket.h"

#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {

UdpSocket::UdpSocket(int descriptor, int family, const Options& options)
    : fd_(descriptor),
      family_(family),
      index_(options.index),
      syscalls_(options.syscalls),
      mmsg_(options.mmsg) {
  // A kernel before 4.18 ignores the control message and sends one huge datagram, so probe for support first.
  gso_ = options.gso && get_option(fd(), SOL_UDP, UDP_SEGMENT) >= 0;
  gro_ = options.gro && set_option(fd(), SOL_UDP, UDP_GRO, 1);
  set_buffers(options.buffer_bytes);
}

UdpSocket::Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

void UdpSocket::set_buffers(int bytes) {
  if (bytes > 0) {
    set_buffer(fd(), SO_RCVBUFFORCE, SO_RCVBUF, bytes);
    set_buffer(fd(), SO_SNDBUFFORCE, SO_SNDBUF, bytes);
  }
  receive_buffer_ = granted_buffer(fd(), SO_RCVBUF);
  send_buffer_ = granted_buffer(fd(), SO_SNDBUF);
}

Result<UdpSocket> UdpSocket::open(int family, const Options& options, const std::string& name) {
  const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error("cannot open a UDP socket for " + name);
  return UdpSocket(fd, family, options);
}

Result<UdpSocket> UdpSocket::bind(const IpEndpoint& wanted, const Options& options) {
  const IpEndpoint local = usable_wildcard(wanted);
  const std::string name = to_string(local);
  const bool both_families = is_wildcard(local) && !is_ipv4(local);
  const int family = is_ipv4(local) ? AF_INET : AF_INET6;
  auto made = open(family, options, name);
  if (!made) return made;
  UdpSocket& opened = *made;
  if (family == AF_INET6) set_option(opened.fd(), IPPROTO_IPV6, IPV6_V6ONLY, both_families ? 0 : 1);
  if (options.reuse_port && !set_option(opened.fd(), SOL_SOCKET, SO_REUSEPORT, 1)) {
    return system_error("cannot share UDP " + name + " between loops");
  }
  const SocketAddress address = to_sockaddr(local, family);
  if (::bind(opened.fd(), address.get(), address.size) != 0) return system_error("cannot bind UDP " + name);
  opened.is_any_ = is_wildcard(local);
  opened.learn_local();
  if (options.receive_info && !opened.enable_packet_info())
    return system_error("cannot learn the addresses asked at UDP " + name);
  return made;
}

Result<UdpSocket> UdpSocket::adopt(FileDescriptor bound, const IpEndpoint& local, const Options& options) {
  const int family = get_option(bound.get(), SOL_SOCKET, SO_DOMAIN);
  UdpSocket adopted(bound.release(), family, options);
  adopted.is_any_ = is_wildcard(local);
  adopted.learn_local();
  if (options.receive_info && !adopted.enable_packet_info())
    return system_error("cannot learn the addresses asked at UDP " + to_string(local));
  return adopted;
}

// False: failed; errno is set.
bool UdpSocket::enable_packet_info() {
  if (!is_any_) return true;
  const int level = family_ == AF_INET ? static_cast<int>(IPPROTO_IP) : static_cast<int>(IPPROTO_IPV6);
  receive_info_ = set_option(fd(), level, family_ == AF_INET ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
  return receive_info_;
}

Result<UdpSocket> UdpSocket::connect(const IpEndpoint& remote, const Options& options,
                                     FileDescriptor reserved) {
  const std::string name = to_string(remote);
  const SocketAddress address = to_sockaddr(remote);
  const int family = address.storage.ss_family;
  auto made = reserved.valid() ? UdpSocket(reserved.release(), family, options) : open(family, options, name);
  if (!made) return made;
  if (Result<bool> bound = bind_to_uplink(made->fd(), family, options.uplink); !bound)
    return Error{bound.error()};
  if (::connect(made->fd(), address.get(), address.size) != 0)
    return system_error("cannot connect UDP " + name);
  made->connected_ = true;
  made->remote_ = remote;
  made->learn_local();
  return made;
}

void UdpSocket::learn_local() {
  sockaddr_storage storage;
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(fd(), address, &size) != 0) return;
  if (auto endpoint = from_sockaddr(address, size)) local_ = *endpoint;
}

bool UdpSocket::set_dscp(std::uint8_t dscp) {
  const bool ipv4_too = family_ == AF_INET || dual_stack();
  if (family_ == AF_INET6 && !set_traffic_class(fd(), IPPROTO_IPV6, IPV6_TCLASS, dscp)) return false;
  return !ipv4_too || set_traffic_class(fd(), IPPROTO_IP, IP_TOS, dscp);
}

std::uint32_t UdpSocket::kernel_drops() const {
  std::uint32_t info[SK_MEMINFO_VARS] = {};
  socklen_t size = sizeof info;
  getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, info, &size);
  return info[SK_MEMINFO_DROPS];
}

}  // namespace kcptun
