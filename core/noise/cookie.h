// The proof of an address that a server under load asks for (docs/develop/protocol.md section 15, "Under
// load").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/path.h"
#include "core/base/time.h"
#include "core/noise/keys.h"
#include "core/noise/packet.h"

namespace kcptun::noise {

/// How long a client uses a cookie, and a server makes cookies with one secret. A server accepts those of the
/// secret before too.
inline constexpr Duration kCookieLife = seconds(120);
inline constexpr std::size_t kCookieNonceSize = 24;  // of XChaCha20
inline constexpr std::size_t kCookiePacketSize = kHeadSize + kCookieNonceSize + sizeof(Cookie) + kTagSize;
using CookieNonce = std::array<std::uint8_t, kCookieNonceSize>;
using CookiePacket = std::array<std::uint8_t, kCookiePacketSize>;

/// The cookie of an address.
Cookie make_cookie(const SecretKey& secret, const IpEndpoint& address);

/// What a cookie answers: a hello of this session with this message 1.
struct Asked {
  std::uint64_t session = 0;
  Bytes message1;
};
/// The packet that brings the cookie, not masked yet. `nonce` is random.
CookiePacket seal_cookie(const SecretKey& cookie_key, const Asked& asked, const CookieNonce& nonce,
                         const Cookie& cookie);
/// The cookie in an unmasked packet; none if it does not answer `asked`.
std::optional<Cookie> open_cookie(const SecretKey& cookie_key, const Asked& asked, Bytes packet);

}  // namespace kcptun::noise
