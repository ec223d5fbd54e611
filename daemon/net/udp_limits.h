// Limits of the kernel on sending UDP, for the sockets of sessions and of flows.
#pragma once

#include <cerrno>
#include <cstddef>

namespace kcptun {

/// The kernel's UDP_MAX_SEGMENTS: 64 before Linux 6.9, 128 since. No header defines it.
inline constexpr std::size_t kUdpMaxSegments = 64;
/// Bytes of one message: 65535 minus the IPv4 and UDP headers. IPv6 would allow 20 bytes more.
inline constexpr std::size_t kMaxUdpPayload = 65507;

/// The packets are valid, but the kernel has no space for them now.
inline bool is_transient(int error) { return error == EAGAIN || error == ENOBUFS || error == ENOMEM; }

}  // namespace kcptun
