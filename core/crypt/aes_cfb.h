// AES-CFB with the fastest implementation that the CPU supports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/bytes.h"
#include "core/crypt/packet_cipher.h"

namespace kcptun {

enum class AesPath : std::uint8_t { kPortable, kAesNi, kVaes256, kVaes512 };

bool cpu_can(AesPath path);
AesPath best_aes_path();

/// REQUIRES: key.size() is 16, 24 or 32, and cpu_can(path).
std::unique_ptr<PacketCipher> make_aes_cfb(Bytes key, AesPath path);

/// Round keys for AES encryption, the only direction that CFB and CTR need. Wiped on destruction.
class AesKeys {
 public:
  /// REQUIRES: a CPU with AES-NI, key.size() is 16, 24 or 32.
  explicit AesKeys(Bytes key);
  ~AesKeys();
  AesKeys(const AesKeys&) = delete;
  AesKeys& operator=(const AesKeys&) = delete;

  /// 10, 12 or 14; there is one more round key.
  int rounds() const { return rounds_; }
  /// 16 bytes, aligned to 16.
  const std::uint8_t* round_key(int i) const { return bytes_ + 16 * i; }

 private:
  int rounds_;
  alignas(64) std::uint8_t bytes_[15 * 16];
};

std::unique_ptr<PacketCipher> make_aes_ni_cfb(Bytes key);
std::unique_ptr<PacketCipher> make_aes_vaes256_cfb(Bytes key);
std::unique_ptr<PacketCipher> make_aes_vaes512_cfb(Bytes key);

}  // namespace kcptun
