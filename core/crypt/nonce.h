// Packet nonces from a seeded cipher. A system call per packet would cost more than the packet's encryption.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/crypt/libraries.h"

namespace kcptun {

/// AES-256-CTR keystream, generated 4 KiB at a time: about 2 ns per nonce. Each refill starts with the key of
/// the next one, so a later disclosure of memory does not reveal the nonces of earlier refills. Wiped on
/// destruction.
class NonceStream {
 public:
  static constexpr std::size_t kSize = 16;

  explicit NonceStream(std::span<const std::uint8_t, 32> seed);
  ~NonceStream();
  NonceStream(const NonceStream&) = delete;
  NonceStream& operator=(const NonceStream&) = delete;

  /// Fresh bytes, valid until the next call. A shorter nonce uses the first of them.
  std::span<const std::uint8_t, kSize> next() {
    if (used_ == kBlockSize) refill();
    used_ += kSize;
    return std::span<const std::uint8_t, kSize>(block_.data() + used_ - kSize, kSize);
  }

 private:
  static constexpr std::size_t kKeySize = 32;
  static constexpr std::size_t kBlockSize = 4096;
  static_assert((kBlockSize - kKeySize) % kSize == 0);
  void refill();

  GcryptCipher cipher_;
  std::array<std::uint8_t, kBlockSize> block_;
  std::size_t used_ = kBlockSize;  // bytes already returned or used as the key; a multiple of kSize
};

}  // namespace kcptun
