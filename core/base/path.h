// Network addresses as plain values, so that core can distinguish peers without sockets.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

namespace kcptun {

/// An IPv4 address is stored as its IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2).
struct IpEndpoint {
  std::array<std::uint8_t, 16> ip{};
  std::uint32_t scope = 0;  // IPv6 scope id or interface index, else 0
  std::uint16_t port = 0;   // host byte order
  auto operator<=>(const IpEndpoint&) const = default;
};

/// The local and remote address of a session's datagrams.
struct Path {
  IpEndpoint remote;
  IpEndpoint local;          // the address that the peer sent to, and the source of replies
  std::uint32_t socket = 0;  // index of the daemon's socket
  bool operator==(const Path&) const = default;
};

struct IpEndpointHash {
  std::size_t operator()(const IpEndpoint& e) const {
    std::uint64_t hi, lo;
    std::memcpy(&hi, e.ip.data(), 8);
    std::memcpy(&lo, e.ip.data() + 8, 8);
    std::uint64_t h = (hi ^ 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    h = (h ^ lo ^ (h >> 32)) * 0xc4ceb9fe1a85ec53u;
    h = (h ^ (std::uint64_t{e.port} << 32) ^ e.scope ^ (h >> 29)) * 0x9e3779b97f4a7c15u;
    return static_cast<std::size_t>(h ^ (h >> 32));
  }
};

}  // namespace kcptun
