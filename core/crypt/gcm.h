// AES-128-GCM packets: nonce 12 | ciphertext | tag 16, no associated data (docs/develop/protocol.md section
// 3).
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

/// Works in place on one packet, which already contains its nonce. Wipes its keys on destruction.
class GcmCipher {
 public:
  virtual ~GcmCipher() = default;
  /// Encrypts the bytes between nonce and tag, and writes the tag. REQUIRES: space for nonce and tag.
  virtual void seal(MutableBytes packet) = 0;
  /// Decrypts and checks the tag in constant time. If false, the bytes are undefined. REQUIRES: as for seal.
  virtual bool open(MutableBytes packet) = 0;
};

/// REQUIRES: key.size() is 16, and cpu_can(path).
std::unique_ptr<GcmCipher> make_gcm(Bytes key, GcmPath path);

}  // namespace kcptun
