// The suite aes-128-gcm: writes the nonce of each packet and delegates to a GcmCipher.
#pragma once

#include <memory>

#include "core/crypt/gcm.h"
#include "core/crypt/nonce.h"
#include "core/crypt/suite.h"

namespace kcptun {

/// Nonces are random instead of counted, because all sessions of both ends share one key. With 96 bits, a
/// nonce repeats among 2^32 packets of all ends with a probability of 2^-33.
class GcmSuite final : public Suite {
 public:
  GcmSuite(std::unique_ptr<GcmCipher> cipher, std::span<const std::uint8_t, 32> nonce_seed)
      : cipher_(std::move(cipher)), nonces_(nonce_seed) {}

  std::size_t header_size() const override { return kGcmNonce; }
  std::size_t trailer_size() const override { return kGcmTag; }
  void seal(std::span<const Packet> packets) override;
  std::size_t open(std::span<Packet> packets) override;

 private:
  std::unique_ptr<GcmCipher> cipher_;
  NonceStream nonces_;
};

}  // namespace kcptun
