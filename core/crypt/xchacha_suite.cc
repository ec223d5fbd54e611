#include "core/crypt/xchacha_suite.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace kcptun {

static_assert(XChaChaSuite::kNonce == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
static_assert(XChaChaSuite::kTag == crypto_aead_xchacha20poly1305_ietf_ABYTES);

XChaChaSuite::XChaChaSuite(std::span<const std::uint8_t, 32> key,
                           std::span<const std::uint8_t, 32> nonce_seed)
    : nonces_(nonce_seed) {
  prepare_sodium();
  std::ranges::copy(key, key_.begin());
}

XChaChaSuite::~XChaChaSuite() { sodium_memzero(key_.data(), key_.size()); }

void XChaChaSuite::seal(std::span<const Packet> packets) {
  for (const Packet& packet : packets) {
    KCPTUN_CHECK(packet.size >= header_size() + kTag);
    std::memcpy(packet.data, nonces_.next().data(), NonceStream::kSize);
    std::memcpy(packet.data + NonceStream::kSize, nonces_.next().data(), kNonce - NonceStream::kSize);
    std::uint8_t* const text = packet.data + kNonce;
    const std::size_t size = packet.size - kNonce - kTag;
    crypto_aead_xchacha20poly1305_ietf_encrypt_detached(text, text + size, nullptr, text, size, nullptr, 0,
                                                        nullptr, packet.data, key_.data());
  }
}

bool XChaChaSuite::open_one(Packet& packet) const {
  if (packet.size < header_size() + kTag) return false;
  std::uint8_t* const text = packet.data + kNonce;
  const std::size_t size = packet.size - kNonce - kTag;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt_detached(text, nullptr, text, size, text + size, nullptr, 0,
                                                          packet.data, key_.data()) != 0)
    return false;
  packet = {text, static_cast<std::uint32_t>(size)};
  return true;
}

std::size_t XChaChaSuite::open(std::span<Packet> packets) {
  std::size_t rejected = 0;
  for (Packet& packet : packets) {
    if (open_one(packet)) continue;
    packet.size = 0;
    ++rejected;
  }
  return rejected;
}

}  // namespace kcptun
