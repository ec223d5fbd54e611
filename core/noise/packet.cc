#include "core/noise/packet.h"

#include <sodium.h>

#include <algorithm>
#include <string_view>

#include "core/base/check.h"
#include "core/base/sodium.h"
#include "core/base/wipe.h"
#include "core/noise/cookie.h"
#include "core/noise/hash.h"

namespace kcptun::noise {
namespace {

constexpr int kEpochShift = 48;
constexpr int kKindShift = 56;
constexpr int kAesShift = 63;

SecretKey shared_key(const SecretKey& master, std::string_view label, const PublicKey* server) {
  return derive_key(master.bytes(), label, server ? Bytes(*server) : Bytes());
}

std::size_t message1_size(Pattern pattern) {
  return pattern == Pattern::kIKpsk2 ? kKeySize + kKeySize + 2 * kTagSize : kKeySize + kTagSize;
}
static_assert(kHeadSize + kHelloTimeSize + 2 * kKeySize + 2 * kTagSize + 2 * kMacSize == kMaxMasked);

Mac mac_of(Bytes key, std::uint64_t session, const Hello& hello, Bytes more) {
  prepare_sodium();
  std::array<std::uint8_t, sizeof session + kHelloTimeSize> front;
  store_u64(front.data(), session);
  store_u32(front.data() + sizeof session, hello.time);
  crypto_generichash_blake2b_state state;
  Mac mac;
  crypto_generichash_blake2b_init(&state, key.data(), key.size(), mac.size());
  for (const Bytes part : {Bytes(front), Bytes(hello.message), more})
    crypto_generichash_blake2b_update(&state, part.data(), part.size());
  crypto_generichash_blake2b_final(&state, mac.data(), mac.size());
  wipe(&state, sizeof state);
  return mac;
}

bool equal(const Mac& a, const Mac& b) { return sodium_memcmp(a.data(), b.data(), a.size()) == 0; }

}  // namespace

SharedKeys::SharedKeys(const SecretKey& master, const PublicKey* server)
    : psk(shared_key(master, "kcptun-uv noise psk", server)),
      mask(shared_key(master, "kcptun-uv noise mask", server)),
      mac(shared_key(master, "kcptun-uv noise mac", server)),
      cookie(shared_key(master, "kcptun-uv noise cookie", server)) {}

void write_head(std::uint8_t* to, const Head& head) {
  KCPTUN_CHECK(head.counter <= kMaxCounter);
  store_u64(to, head.session);
  store_u64(to + 8, head.counter | std::uint64_t{head.epoch} << kEpochShift |
                        static_cast<std::uint64_t>(head.kind) << kKindShift |
                        std::uint64_t{head.aes} << kAesShift);
}

std::optional<Head> read_head(const std::uint8_t* from) {
  const std::uint64_t number = load_u64(from + 8);
  const std::uint64_t kind = number >> kKindShift & 0x7f;
  const bool aes = number >> kAesShift != 0;
  constexpr auto kCookie = static_cast<std::uint64_t>(Kind::kCookie);
  if (kind > kCookie || (aes && kind == kCookie)) return std::nullopt;
  return Head{load_u64(from), number & kMaxCounter, static_cast<std::uint8_t>(number >> kEpochShift),
              static_cast<Kind>(kind), aes};
}

std::size_t handshake_part_size(Kind kind, Pattern pattern) {
  switch (kind) {
    case Kind::kHello:
      return kHelloTimeSize + message1_size(pattern) + 2 * kMacSize;
    case Kind::kAnswer:
      return kMessage2Size;
    case Kind::kCookie:
      return kCookieNonceSize;
    case Kind::kData:
      break;
  }
  return 0;
}

void write_hello(MutableBytes to, std::uint64_t session, const Hello& hello, const SecretKey& mac_key,
                 const Cookie* cookie) {
  KCPTUN_CHECK(to.size() == kHelloTimeSize + hello.message.size() + 2 * kMacSize);
  store_u32(to.data(), hello.time);
  std::ranges::copy(hello.message, to.begin() + kHelloTimeSize);
  const Mac mac1 = mac_of(mac_key.bytes(), session, hello, {});
  const Mac mac2 = cookie ? mac_of(*cookie, session, hello, mac1) : Mac{};
  std::ranges::copy(mac1, to.last(2 * kMacSize).begin());
  std::ranges::copy(mac2, to.last(kMacSize).begin());
}

std::optional<Hello> read_hello(MutableBytes part, std::uint64_t session, const SecretKey& mac_key) {
  KCPTUN_CHECK(part.size() > kHelloTimeSize + 2 * kMacSize);
  Hello hello;
  hello.time = load_u32(part.data());
  hello.message = part.subspan(kHelloTimeSize, part.size() - kHelloTimeSize - 2 * kMacSize);
  std::ranges::copy(part.last(2 * kMacSize).first(kMacSize), hello.mac1.begin());
  std::ranges::copy(part.last(kMacSize), hello.mac2.begin());
  if (!equal(hello.mac1, mac_of(mac_key.bytes(), session, hello, {}))) return std::nullopt;
  return hello;
}

bool has_cookie(const Hello& hello, std::uint64_t session, const Cookie& cookie) {
  return equal(hello.mac2, mac_of(cookie, session, hello, hello.mac1));
}

}  // namespace kcptun::noise
