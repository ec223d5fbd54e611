// Networks of IP addresses as plain values.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace kcptun {

/// IPv4 as its IPv4-mapped IPv6 address, as in IpEndpoint.
using IpAddress = std::array<std::uint8_t, 16>;

/// The first bytes of an IPv4-mapped address (RFC 4291 section 2.5.5.2).
inline constexpr std::array<std::uint8_t, 12> kIpv4MappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

inline bool is_ipv4_mapped(const IpAddress& address) {
  return std::equal(kIpv4MappedPrefix.begin(), kIpv4MappedPrefix.end(), address.begin());
}

/// Addresses that have their first `bits` bits in common.
struct IpNetwork {
  IpAddress address{};    // the bits behind the prefix are 0
  std::uint8_t bits = 0;  // 0..128; of an IPv4 network its prefix length and 96

  bool contains(const IpAddress& other) const {
    const std::size_t whole = bits / 8;
    const auto end = other.begin() + static_cast<std::ptrdiff_t>(whole);
    if (!std::equal(other.begin(), end, address.begin())) return false;
    const unsigned rest = bits % 8;
    return rest == 0 || (other[whole] ^ address[whole]) >> (8 - rest) == 0;
  }
  /// True if all of `inner` is in this network.
  bool contains(const IpNetwork& inner) const { return inner.bits >= bits && contains(inner.address); }
  bool operator==(const IpNetwork&) const = default;
};

}  // namespace kcptun
