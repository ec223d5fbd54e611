// Options shared by the datagram sockets: buffer sizes, DSCP, fragmentation, control messages.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/base/packet.h"
#include "core/base/result.h"

namespace kcptun {

inline bool set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

inline int get_option(int fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

inline Error system_error(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

/// The kernel doubles the requested size for its own overhead and reports the doubled value.
inline int granted_buffer(int fd, int name) { return get_option(fd, SOL_SOCKET, name) / 2; }

/// The buffer size that the kernel grants to an unprivileged process that requests `bytes`: net.core.rmem_max
/// and wmem_max clamp it. 0: unknown.
int grantable_buffer(int plain_name, int bytes);

/// Uses SO_RCVBUFFORCE or SO_SNDBUFFORCE, which ignore net.core.rmem_max and wmem_max and need CAP_NET_ADMIN.
/// Without that capability, keeps the size granted earlier unless `bytes` is smaller.
void set_buffer(int fd, int force_name, int plain_name, int bytes);

/// Keeps the two ECN bits that are set now (RFC 3168 section 5, RFC 2474 section 3).
inline bool set_traffic_class(int fd, int level, int name, std::uint8_t dscp) {
  const int now = get_option(fd, level, name);
  return set_option(fd, level, name, (dscp << 2) | (now > 0 ? now & 3 : 0));
}

/// A packet with DF may be as large as the interface's MTU, whatever path MTU the kernel has cached. Other
/// packets may be fragmented by routers, and by the kernel on a path with a known smaller MTU. `family` is
/// that of the packets.
inline bool set_fragments_option(int fd, int family, TransmitBatch::Fragments fragments) {
  const bool whole = fragments == TransmitBatch::Fragments::kDontFragment;
  if (family == AF_INET)
    return set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
  return set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, whole ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT);
}

template <typename T>
void append_control(msghdr& header, int level, int type, const T& value) {
  auto* control =
      reinterpret_cast<cmsghdr*>(static_cast<std::uint8_t*>(header.msg_control) + header.msg_controllen);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(control), &value, sizeof value);
  // Clear the padding: the kernel reads it, and valgrind reports it as uninitialised.
  std::memset(CMSG_DATA(control) + sizeof value, 0, CMSG_SPACE(sizeof value) - CMSG_LEN(sizeof value));
  header.msg_controllen += CMSG_SPACE(sizeof value);
}

template <typename T>
T control_value(const cmsghdr* control) {
  T value;
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return value;
}

}  // namespace kcptun
