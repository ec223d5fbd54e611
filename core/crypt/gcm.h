// AES-GCM (NIST SP 800-38D) with 128 or 256 bits of key: the suite aes-128-gcm and the suite noise seal with
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/bytes.h"

namespace kcptun {

inline constexpr std::size_t kGcmNonce = 12;
inline constexpr std::size_t kGcmTag = 16;

enum class GcmPath : std::uint8_t { kPortable, kVaes512 };

bool cpu_can(GcmPath path);
GcmPath best_gcm_path();

/// Works in place on messages that end with their tag. Wipes its keys on destruction.
class GcmCipher {
 public:
  /// kGcmNonce bytes, in memory of which 16 bytes can be read.
  using Nonce = const std::uint8_t*;

  virtual ~GcmCipher() = default;
  /// Encrypts all but the last kGcmTag bytes, where the tag goes. `associated` is authenticated, too: at most
  /// kMaxAssociated bytes. REQUIRES: the message has room for the tag.
  virtual void seal(Nonce nonce, Bytes associated, MutableBytes message) = 0;
  /// Decrypts and checks the tag in constant time. If false, the bytes are undefined. REQUIRES: as for seal.
  virtual bool open(Nonce nonce, Bytes associated, MutableBytes message) = 0;

  static constexpr std::size_t kMaxAssociated = 1024;
};

/// REQUIRES: key.size() is 16 or 32, and cpu_can(path).
std::unique_ptr<GcmCipher> make_gcm(Bytes key, GcmPath path);

}  // namespace kcptun
