// The mask over what stands before a packet's body in the suite noise (docs/develop/protocol.md section 15).
#pragma once

#include <cstddef>
#include <span>

#include "core/base/bytes.h"
#include "core/base/packet.h"
#include "core/crypt/libraries.h"
#include "core/noise/keys.h"
#include "core/noise/packet.h"

namespace kcptun {

/// XORs with AES-256 of the packet's tag, its last noise::kTagSize bytes, so doing it twice restores the
/// bytes. Not thread-safe: one per suite.
class HeaderMask {
 public:
  explicit HeaderMask(const noise::SecretKey& key)
      : cipher_(GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_ECB, key.bytes()) {}

  /// The heads of a batch. Packets without room for head and tag are left alone.
  void apply_to_heads(std::span<const Packet> packets);
  /// The bytes from `begin` to `end` of one packet. REQUIRES: begin is 0 or noise::kHeadSize, begin <= end <=
  /// noise::kMaxMasked, and the tag lies behind `end`.
  void apply(MutableBytes packet, std::size_t begin, std::size_t end);

 private:
  GcryptCipher cipher_;
};

}  // namespace kcptun
