// Packets of the suite noise around their sealed bodies: the head, and the hello's proofs that its sender has
// the shared key (docs/develop/protocol.md section 15).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/bytes.h"
#include "core/noise/handshake.h"
#include "core/noise/keys.h"

namespace kcptun::noise {

/// What every holder of the shared key has. `master` is the key from the configuration, derived; `server` is
/// the server's public key under IKpsk2, else null.
struct SharedKeys {
  SharedKeys(const SecretKey& master, const PublicKey* server);

  SecretKey psk;
  SecretKey mask;
  SecretKey mac;
  SecretKey cookie;
};

enum class Kind : std::uint8_t { kData = 0, kHello = 1, kAnswer = 2, kCookie = 3 };

inline constexpr std::size_t kHeadSize = 16;
inline constexpr std::uint64_t kMaxCounter = (std::uint64_t{1} << 48) - 1;

struct Head {
  std::uint64_t session = 0;
  std::uint64_t counter = 0;  // at most kMaxCounter
  std::uint8_t epoch = 0;
  Kind kind = Kind::kData;
  bool aes = false;  // AES-256-GCM seals this answer or data packet; a hello offers it; never of a cookie
};

/// REQUIRES: kHeadSize bytes at `to`.
void write_head(std::uint8_t* to, const Head& head);
/// None if there is no such kind. REQUIRES: kHeadSize bytes at `from`.
std::optional<Head> read_head(const std::uint8_t* from);

/// Bytes between the head and the body.
std::size_t handshake_part_size(Kind kind, Pattern pattern);

/// Head and handshake part of the largest kind.
inline constexpr std::size_t kMaxMasked = 148;
/// Message 1 of IKpsk2, the largest.
inline constexpr std::size_t kMaxMessage1Size = 2 * kKeySize + 2 * kTagSize;
inline constexpr std::size_t kMessage2Size = kKeySize + kTagSize;

inline constexpr std::size_t kHelloTimeSize = 4;  // seconds since 1970, before the hello's message
inline constexpr std::size_t kMacSize = 16;
using Mac = std::array<std::uint8_t, kMacSize>;
/// What a server under load asks for: it proves that a client receives at its address.
using Cookie = std::array<std::uint8_t, 16>;

/// A hello's handshake part.
struct Hello {
  std::uint32_t time = 0;  // seconds since 1970
  MutableBytes message;    // of the handshake
  Mac mac1{};
  Mac mac2{};
};

/// REQUIRES: `to` has handshake_part_size(Kind::kHello) bytes for this message. `cookie` may be null.
void write_hello(MutableBytes to, std::uint64_t session, const Hello& hello, const SecretKey& mac_key,
                 const Cookie* cookie);
/// The parts of a hello; `message` points into `part`. None unless mac1 is right. REQUIRES: as for
/// write_hello().
std::optional<Hello> read_hello(MutableBytes part, std::uint64_t session, const SecretKey& mac_key);
/// Whether mac2 was made with this cookie. Constant time.
bool has_cookie(const Hello& hello, std::uint64_t session, const Cookie& cookie);

}  // namespace kcptun::noise
