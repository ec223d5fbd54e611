#include "core/noise/cookie.h"

#include <sodium.h>

#include <algorithm>

#include "core/base/sodium.h"
#include "core/base/wipe.h"

namespace kcptun::noise {
namespace {

static_assert(kCookieNonceSize == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
static_assert(kTagSize == crypto_aead_xchacha20poly1305_ietf_ABYTES);

constexpr std::size_t kNonceAt = kHeadSize;
constexpr std::size_t kCookieAt = kNonceAt + kCookieNonceSize;
constexpr std::size_t kTagAt = kCookieAt + sizeof(Cookie);

using Associated = std::array<std::uint8_t, kHeadSize + kMaxMessage1Size>;

Bytes associated_of(Associated& buffer, const Asked& asked) {
  write_head(buffer.data(), {asked.session, 0, 0, Kind::kCookie});
  std::ranges::copy(asked.message1, buffer.begin() + kHeadSize);
  return Bytes(buffer).first(kHeadSize + asked.message1.size());
}

}  // namespace

Cookie make_cookie(const SecretKey& secret, const IpEndpoint& address) {
  prepare_sodium();
  std::array<std::uint8_t, sizeof address.ip + sizeof address.port> text;
  std::ranges::copy(address.ip, text.begin());
  store_u16(text.data() + sizeof address.ip, address.port);
  Cookie cookie;
  crypto_generichash_blake2b(cookie.data(), cookie.size(), text.data(), text.size(), secret.data(), kKeySize);
  return cookie;
}

CookiePacket seal_cookie(const SecretKey& cookie_key, const Asked& asked, const CookieNonce& nonce,
                         const Cookie& cookie) {
  prepare_sodium();
  Associated buffer;
  const Bytes associated = associated_of(buffer, asked);
  CookiePacket packet;
  std::ranges::copy(associated.first(kHeadSize), packet.begin());
  std::ranges::copy(nonce, packet.begin() + kNonceAt);
  crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
      packet.data() + kCookieAt, packet.data() + kTagAt, nullptr, cookie.data(), cookie.size(),
      associated.data(), associated.size(), nullptr, nonce.data(), cookie_key.data());
  return packet;
}

std::optional<Cookie> open_cookie(const SecretKey& cookie_key, const Asked& asked, Bytes packet) {
  if (packet.size() != kCookiePacketSize) return std::nullopt;
  prepare_sodium();
  Associated buffer;
  const Bytes associated = associated_of(buffer, asked);
  if (!std::ranges::equal(associated.first(kHeadSize), packet.first(kHeadSize))) return std::nullopt;
  Cookie cookie;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
          cookie.data(), nullptr, packet.data() + kCookieAt, cookie.size(), packet.data() + kTagAt,
          associated.data(), associated.size(), packet.data() + kNonceAt, cookie_key.data()) != 0)
    return std::nullopt;
  return cookie;
}

}  // namespace kcptun::noise
