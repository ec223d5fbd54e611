// What the programs of this project announce to each other (docs/develop/protocol.md section 12).
#pragma once

#include <cstdint>

namespace kcptun {

/// Bits of SmuxSettings::capabilities and Smux::peer_capabilities(). Other bits are ignored.
enum Capability : std::uint32_t {
  /// A server accepts request streams. A client marks the kind of each stream that it opens.
  kRequestStreams = 1u << 0,
  /// Accepts datagram packets.
  kDatagramPackets = 1u << 1,
  /// A server accepts requests to listen. A client accepts streams that the server opens.
  kServerStreams = 1u << 2,
};

/// Capabilities are announced by a NOP whose sid is this flag and the bits, shifted by one. Like the mark it
/// is even, unlike the sid of any stream.
inline constexpr std::uint32_t kCapabilityFlag = 0x80000000;
/// Capability bits that such a sid has room for.
inline constexpr std::uint32_t kCapabilityMask = 0x3fffffff;

/// The last sid of a stream that a server opens.
inline constexpr std::uint32_t last_server_sid() { return kCapabilityFlag - 2; }

inline constexpr std::uint32_t capability_sid(std::uint32_t bits) {
  return kCapabilityFlag | (bits & kCapabilityMask) << 1;
}
inline constexpr std::uint32_t capabilities_in(std::uint32_t sid) { return sid >> 1 & kCapabilityMask; }

}  // namespace kcptun
