// Packet protection: one suite with one key, sealing and opening whole batches in place (docs/protocol.md
// section 3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/packet.h"
#include "core/base/result.h"
#include "core/base/settings.h"

namespace kcptun {

/// How a suite's 32 bytes of key come from the users' key (docs/protocol.md sections 3 and 11).
enum class KeyDerivation : std::uint8_t {
  kPbkdf2,    // PBKDF2-HMAC-SHA1(key, "kcp-go", 4096 iterations): kcptun's, costs milliseconds
  kArgon2id,  // Argon2id 1.3 (key, "kcptun-uv aead 1", 2 passes over 64 MiB, 1 lane): a tenth of a second
};

/// Derive it once and share it. Wiped when destroyed.
class MasterKey {
 public:
  /// By kcptun's derivation.
  explicit MasterKey(std::string_view key);
  /// By the one that the cipher's suite asks for. The error: no memory for Argon2id.
  static Result<MasterKey> derive(std::string_view key, Cipher cipher);
  ~MasterKey();
  MasterKey(const MasterKey&) = default;
  MasterKey& operator=(const MasterKey&) = default;
  std::span<const std::uint8_t, 32> bytes() const { return pass_; }

 private:
  MasterKey() = default;
  std::array<std::uint8_t, 32> pass_{};
};

/// How a suite finds its code: `kBest` looks at the CPU, `kPortable` uses no intrinsics (tests force it).
enum class Dispatch : std::uint8_t { kBest, kPortable };

/// Not thread-safe: one per loop. Holds no state between packets but the nonce generator.
class Suite {
 public:
  virtual ~Suite() = default;

  /// `nonce_seed` (32 bytes of the caller's true randomness, different for each Suite) keys the nonce
  /// generator. Aborts when libgcrypt lacks an algorithm, which would be a broken build.
  static std::unique_ptr<Suite> make(Cipher cipher, const MasterKey& key,
                                     std::span<const std::uint8_t, 32> nonce_seed,
                                     Dispatch dispatch = Dispatch::kBest);

  /// Bytes before and after the body in a sealed packet: 20/0, 12/16 (aes-128-gcm), 44/16 (xchacha20-poly1305) or 0/0
  /// (null).
  virtual std::size_t header_size() const = 0;
  virtual std::size_t trailer_size() const = 0;

  /// The last so many bytes of the header are a session header (session_header.h), 0: this suite knows none. Who makes
  /// the packet writes it before seal(), and open() leaves it in front of the body.
  virtual std::size_t session_header_size() const { return 0; }

  /// Seals each packet in place. Packet bytes are header_size() bytes to be overwritten (but for a session header), the
  /// body, and trailer_size() bytes to be overwritten; size counts all three. Packets need not be of one size.
  virtual void seal(std::span<const Packet> packets) = 0;

  /// Opens each packet in place and narrows it to its body. One that is too short or fails its CRC or tag
  /// gets size 0. Returns how many were rejected.
  virtual std::size_t open(std::span<Packet> packets) = 0;
};

}  // namespace kcptun
