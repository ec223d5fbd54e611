// ChaCha20-Poly1305 as the Noise framework uses it (revision 34, section 12.3): the nonce is 32 zero bits and
// the number of the message, little-endian.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/noise/keys.h"

namespace kcptun::noise {

/// A key for messages of one direction. The caller numbers them, so that they may arrive in any order, and
/// never seals two with one number. Wiped on destruction.
class CipherState {
 public:
  /// The number that the framework reserves for rekeying.
  static constexpr std::uint64_t kReserved = ~std::uint64_t{0};

  explicit CipherState(const SecretKey& key) : key_(key) {}

  /// Encrypts in place all but the last kTagSize bytes, where the tag goes. REQUIRES: number < kReserved, and
  /// `message` has kTagSize bytes or more.
  void seal(std::uint64_t number, Bytes associated, MutableBytes message) const;
  /// Decrypts in place. False unless the tag is right; then all bytes but the tag are zero. A message with
  /// fewer than kTagSize bytes is wrong.
  [[nodiscard]] bool open(std::uint64_t number, Bytes associated, MutableBytes message) const;

  /// Replaces the key with one that it determines and that does not reveal it (section 11.3). Numbers go on.
  void rekey();

  /// The key for AES-256-GCM that goes with this one.
  SecretKey aes_key() const;

 private:
  SecretKey key_;
};

}  // namespace kcptun::noise
