// Cuts IPv4 packets, as routers do where the next way is smaller (RFC 791 section 3.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kcptun::lab {

/// One packet being cut. Looks at the packet while it lives.
class Fragments {
 public:
  /// True for a whole IPv4 packet, or a fragment, that is larger than `mtu`, allows it (no DF) and has no
  /// options.
  static bool can_cut(std::span<const std::uint8_t> packet, std::size_t mtu);

  /// REQUIRES: can_cut().
  Fragments(std::span<const std::uint8_t> packet, std::size_t mtu) : packet_(packet), mtu_(mtu) {}

  /// Writes the next fragment, of at most mtu bytes, and returns its size; 0: there is none. REQUIRES: `into`
  /// has room.
  std::size_t next(std::span<std::uint8_t> into);

 private:
  std::span<const std::uint8_t> packet_;
  std::size_t mtu_;
  std::size_t done_ = 0;  // payload bytes
};

/// Of an IPv4 header; 0 over one that has a right one.
std::uint16_t header_checksum(std::span<const std::uint8_t> header);

}  // namespace kcptun::lab
