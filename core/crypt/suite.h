// Packet protection: a suite with a key encrypts and decrypts whole batches in place
// (docs/develop/protocol.md section 3).
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
namespace noise {
struct Credentials;
}

/// The derivation of a suite's 32 key bytes from the user's key (docs/develop/protocol.md sections 3 and 11).
enum class KeyDerivation : std::uint8_t {
  kPbkdf2,    // PBKDF2-HMAC-SHA1(key, "kcp-go", 4096 iterations): kcptun's derivation; takes milliseconds
  kArgon2id,  // Argon2id 1.3 (key, the suite's salt, 2 passes over 64 MiB, 1 lane): takes 0.1 s
};

/// Derive it once and share it. Wiped on destruction.
class MasterKey {
 public:
  /// Uses kcptun's derivation.
  explicit MasterKey(std::string_view key);
  /// Uses the derivation of the cipher's suite. Where that is Argon2id, a key of the form kRawKeyPrefix and
  /// 43 digits of base64url is not stretched: it has 256 random bits already. The error: not enough memory
  /// for Argon2id, or the prefix with something else behind it.
  static Result<MasterKey> derive(std::string_view key, Cipher cipher);
  /// Bytes that derive() takes and returns.
  static std::size_t working_memory(std::string_view key, Cipher cipher);
  ~MasterKey();
  MasterKey(const MasterKey&) = default;
  MasterKey& operator=(const MasterKey&) = default;
  std::span<const std::uint8_t, 32> bytes() const { return key_; }

 private:
  MasterKey() = default;
  std::array<std::uint8_t, 32> key_{};
};

/// Selects a suite's implementation: `kBest` by the CPU's features, `kPortable` without intrinsics (for
/// tests).
enum class Dispatch : std::uint8_t { kBest, kPortable };

/// Not thread-safe: one per engine. The nonce generator is its only state between packets.
class Suite {
 public:
  virtual ~Suite() = default;

  /// `nonce_seed` (32 random bytes from the system, different for each Suite) keys the nonce generator.
  /// Aborts if libgcrypt lacks an algorithm, which means a broken build.
  static std::unique_ptr<Suite> make(Cipher cipher, const MasterKey& key,
                                     std::span<const std::uint8_t, 32> nonce_seed,
                                     Dispatch dispatch = Dispatch::kBest);
  /// The suite noise with these keys, and AES-256-GCM if this CPU has instructions for it. make() gives it
  /// the keys of the shared key alone.
  static std::unique_ptr<Suite> make_noise(const noise::Credentials& credentials);

  /// Bytes before and after the body in an encrypted packet: 20/0, 12/16 (aes-128-gcm), 44/16
  /// (xchacha20-poly1305), 16/16 (noise) or 0/0 (null).
  virtual std::size_t header_size() const = 0;
  virtual std::size_t trailer_size() const = 0;

  /// Size of the session header (session_header.h) at the end of the packet header; 0 if the suite has no
  /// session ids. The sender writes it before seal(). open() leaves it before the body.
  virtual std::size_t session_header_size() const { return 0; }

  /// The keys from which each session makes its own; null unless the sessions seal and open their packets
  /// themselves, before seal() and after open() (noise_suite.h).
  virtual const noise::Credentials* credentials() const { return nullptr; }

  /// Encrypts each packet in place. A packet consists of header_size() bytes to overwrite (except for a
  /// session header), the body, and trailer_size() bytes to overwrite; its size includes all three. Sizes of
  /// packets may differ.
  virtual void seal(std::span<const Packet> packets) = 0;

  /// Decrypts each packet in place and narrows it to its body. A packet that is too short or fails its CRC or
  /// tag gets size 0. Returns the number of rejected packets.
  virtual std::size_t open(std::span<Packet> packets) = 0;
};

}  // namespace kcptun
