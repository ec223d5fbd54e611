#include "core/crypt/nonce.h"

#include <sodium.h>

namespace kcptun {

NonceStream::NonceStream(std::span<const std::uint8_t, 32> seed)
    : cipher_(GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_CTR, seed) {}

NonceStream::~NonceStream() { sodium_memzero(block_.data(), block_.size()); }

void NonceStream::refill() {
  // Each key is used for one block, so the counter may always start from 0.
  static constexpr std::uint8_t kZero[16] = {};
  block_.fill(0);
  cipher_.set_counter(kZero);
  cipher_.encrypt(block_);
  cipher_.set_key(MutableBytes(block_).first(kKeySize));
  sodium_memzero(block_.data(), kKeySize);
  used_ = kKeySize;
}

}  // namespace kcptun
