// Keys of the Noise handshake (docs/develop/protocol.md section 15): fixed sizes, secrets wiped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/wipe.h"

namespace kcptun::noise {

inline constexpr std::size_t kKeySize = 32;
inline constexpr std::size_t kTagSize = 16;   // of ChaCha20-Poly1305
inline constexpr std::size_t kHashSize = 64;  // of BLAKE2b

using PublicKey = std::array<std::uint8_t, kKeySize>;
using Hash = std::array<std::uint8_t, kHashSize>;

/// 32 secret bytes: a private key, a pre-shared key or a cipher key. Wiped on destruction.
class SecretKey {
 public:
  SecretKey() = default;
  explicit SecretKey(std::span<const std::uint8_t, kKeySize> bytes) {
    std::ranges::copy(bytes, bytes_.begin());
  }
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey() { clear(); }

  std::span<const std::uint8_t, kKeySize> bytes() const { return bytes_; }
  std::span<std::uint8_t, kKeySize> writable() { return bytes_; }
  const std::uint8_t* data() const { return bytes_.data(); }
  void clear() { wipe(bytes_.data(), bytes_.size()); }

 private:
  std::array<std::uint8_t, kKeySize> bytes_{};
};

/// An X25519 key pair (RFC 7748).
struct KeyPair {
  /// The pair of a private key: 32 random bytes from the system, or a configured key.
  static KeyPair of(const SecretKey& secret);

  SecretKey secret;
  PublicKey public_key{};
};

/// X25519. False if the result is zero, as with a public key of small order; then `shared` is zero too.
[[nodiscard]] bool agree(const SecretKey& secret, const PublicKey& peer, SecretKey& shared);

}  // namespace kcptun::noise
