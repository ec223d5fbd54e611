#include "core/noise/cipher_state.h"

#include <sodium.h>

#include <array>

#include "core/base/check.h"
#include "core/base/sodium.h"
#include "core/base/wipe.h"
#include "core/noise/hash.h"

namespace kcptun::noise {
namespace {

static_assert(kKeySize == crypto_aead_chacha20poly1305_ietf_KEYBYTES);
static_assert(kTagSize == crypto_aead_chacha20poly1305_ietf_ABYTES);
using Nonce = std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

Nonce nonce_of(std::uint64_t number) {
  Nonce nonce{};
  store_u64(nonce.data() + 4, number);
  return nonce;
}

// libsodium does not read a null pointer of size 0, but its declaration forbids one.
const std::uint8_t* not_null(Bytes bytes) {
  static constexpr std::uint8_t kNothing = 0;
  return bytes.data() ? bytes.data() : &kNothing;
}

void encrypt(const SecretKey& key, std::uint64_t number, Bytes associated, MutableBytes message) {
  prepare_sodium();
  const std::size_t size = message.size() - kTagSize;
  crypto_aead_chacha20poly1305_ietf_encrypt_detached(
      message.data(), message.data() + size, nullptr, message.data(), size, not_null(associated),
      associated.size(), nullptr, nonce_of(number).data(), key.data());
}

}  // namespace

void CipherState::seal(std::uint64_t number, Bytes associated, MutableBytes message) const {
  KCPTUN_CHECK(number < kReserved && message.size() >= kTagSize);
  encrypt(key_, number, associated, message);
}

bool CipherState::open(std::uint64_t number, Bytes associated, MutableBytes message) const {
  if (message.size() < kTagSize) return false;
  prepare_sodium();
  const std::size_t size = message.size() - kTagSize;
  return crypto_aead_chacha20poly1305_ietf_decrypt_detached(
             message.data(), nullptr, message.data(), size, message.data() + size, not_null(associated),
             associated.size(), nonce_of(number).data(), key_.data()) == 0;
}

void CipherState::rekey() {
  std::array<std::uint8_t, kKeySize + kTagSize> zeros{};
  encrypt(key_, kReserved, {}, zeros);
  key_ = SecretKey(std::span(zeros).first<kKeySize>());
  wipe(zeros.data(), zeros.size());
}

SecretKey CipherState::aes_key() const { return derive_key(key_.bytes(), "kcptun-uv noise aes-256-gcm"); }

}  // namespace kcptun::noise
