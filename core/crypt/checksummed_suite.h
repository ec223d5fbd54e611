// The packet format of all suites except three: nonce 16 | crc32 4 | body, encrypted from the first byte to
// the last.
#pragma once

#include <memory>

#include "core/crypt/nonce.h"
#include "core/crypt/packet_cipher.h"
#include "core/crypt/suite.h"

namespace kcptun {

/// Adds nonce and checksum to a PacketCipher, and removes and checks them (docs/develop/protocol.md section
/// 3).
class ChecksummedSuite final : public Suite {
 public:
  ChecksummedSuite(std::unique_ptr<PacketCipher> cipher, std::span<const std::uint8_t, 32> nonce_seed)
      : cipher_(std::move(cipher)), nonces_(nonce_seed) {}

  std::size_t header_size() const override { return kHeader; }
  std::size_t trailer_size() const override { return 0; }
  void seal(std::span<const Packet> packets) override;
  std::size_t open(std::span<Packet> packets) override;

 private:
  static constexpr std::size_t kNonce = NonceStream::kSize;
  static constexpr std::size_t kHeader = kNonce + 4;

  std::unique_ptr<PacketCipher> cipher_;
  NonceStream nonces_;
};

}  // namespace kcptun
