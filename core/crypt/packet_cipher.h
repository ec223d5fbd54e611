// The cipher of a checksummed packet, without nonce and checksum: transforms whole packets.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/packet.h"

namespace kcptun {

/// The initialisation vector of every CFB cipher; ciphers with 8-byte blocks use its first half
/// (docs/develop/protocol.md section 3).
inline constexpr std::uint8_t kCfbIv[16] = {0xa7, 0x73, 0x4f, 0x9c, 0x12, 0xac, 0x1b, 0x01,
                                            0xa4, 0x15, 0xf2, 0xc1, 0xfc, 0x78, 0xe6, 0x6b};

/// Works in place on packets of any size, 0 included, from the first byte to the last. The caller has written
/// the nonce, so recorded vectors can be replayed. Stateless between calls. Wipes its keys on destruction.
class PacketCipher {
 public:
  virtual ~PacketCipher() = default;
  virtual void encrypt(std::span<const Packet> packets) = 0;
  virtual void decrypt(std::span<const Packet> packets) = 0;
};

}  // namespace kcptun
