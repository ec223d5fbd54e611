// AES-CFB with AES-NI: eight blocks in flight hide the latency of AESENC.
#if defined(__x86_64__)

#include <immintrin.h>
#include <sodium.h>

#include "core/base/check.h"
#include "core/crypt/aes_cfb.h"
#include "core/crypt/cfb_lanes.h"

#define KCPTUN_AESNI [[gnu::target("aes,sse4.1")]]

namespace kcptun {
namespace {

constexpr std::size_t kAesNiLanes = 8;
using AesNiLanes = CfbLanes<16, kAesNiLanes>;

KCPTUN_AESNI inline __m128i load_block(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
KCPTUN_AESNI inline void store_block(std::uint8_t* p, __m128i v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
}

template <int kRounds>
KCPTUN_AESNI [[gnu::always_inline]] inline void encrypt_eight(const AesKeys& keys,
                                                              __m128i (&s)[kAesNiLanes]) {
  __m128i k = load_block(keys.round_key(0));
#pragma GCC unroll 8
  for (std::size_t l = 0; l < kAesNiLanes; ++l) s[l] = _mm_xor_si128(s[l], k);
#pragma GCC unroll 14
  for (int r = 1; r < kRounds; ++r) {
    k = load_block(keys.round_key(r));
#pragma GCC unroll 8
    for (std::size_t l = 0; l < kAesNiLanes; ++l) s[l] = _mm_aesenc_si128(s[l], k);
  }
  k = load_block(keys.round_key(kRounds));
#pragma GCC unroll 8
  for (std::size_t l = 0; l < kAesNiLanes; ++l) s[l] = _mm_aesenclast_si128(s[l], k);
}

template <int kRounds>
KCPTUN_AESNI void encrypt_steps(const AesKeys& keys, AesNiLanes::View& view, std::size_t steps) {
  __m128i s[kAesNiLanes];
#pragma GCC unroll 8
  for (std::size_t l = 0; l < kAesNiLanes; ++l) s[l] = load_block(view.feedback + 16 * l);
  for (std::size_t at = 0; at < 16 * steps; at += 16) {
    encrypt_eight<kRounds>(keys, s);
#pragma GCC unroll 8
    for (std::size_t l = 0; l < kAesNiLanes; ++l) {
      s[l] = _mm_xor_si128(s[l], load_block(view.data[l] + at));
      store_block(view.data[l] + at, s[l]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t l = 0; l < kAesNiLanes; ++l) {
    store_block(view.feedback + 16 * l, s[l]);
    view.data[l] += 16 * steps;
  }
}

/// Decrypts eight blocks at `p` in place. `previous` is the ciphertext block before them; it becomes their
/// last one.
template <int kRounds>
KCPTUN_AESNI [[gnu::always_inline]] inline void decrypt_eight(const AesKeys& keys, std::uint8_t* p,
                                                              __m128i& previous) {
  __m128i s[kAesNiLanes];
  s[0] = previous;
#pragma GCC unroll 8
  for (std::size_t l = 1; l < kAesNiLanes; ++l) s[l] = load_block(p + 16 * (l - 1));
  previous = load_block(p + 16 * (kAesNiLanes - 1));
  encrypt_eight<kRounds>(keys, s);
#pragma GCC unroll 8
  for (std::size_t l = 0; l < kAesNiLanes; ++l)
    store_block(p + 16 * l, _mm_xor_si128(s[l], load_block(p + 16 * l)));
}

template <int kRounds>
KCPTUN_AESNI void decrypt_packet(const AesKeys& keys, MutableBytes bytes) {
  constexpr std::size_t kGroup = 16 * kAesNiLanes;
  __m128i previous = load_block(kCfbIv);
  std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kGroup; p += kGroup, left -= kGroup) decrypt_eight<kRounds>(keys, p, previous);
  if (left == 0) return;
  alignas(16) std::uint8_t group[kGroup] = {};
  std::memcpy(group, p, left);
  decrypt_eight<kRounds>(keys, group, previous);
  std::memcpy(p, group, left);
}

template <int kRounds>
class AesNiCfb final : public PacketCipher {
 public:
  explicit AesNiCfb(Bytes key) : keys_(key) {}
  void encrypt(std::span<const Packet> packets) override {
    AesNiLanes(packets, kCfbIv).run([this](AesNiLanes::View& view, std::size_t steps) {
      encrypt_steps<kRounds>(keys_, view, steps);
    });
  }
  void decrypt(std::span<const Packet> packets) override {
    for (const Packet& packet : packets) decrypt_packet<kRounds>(keys_, packet.bytes());
  }

 private:
  AesKeys keys_;
};

/// FIPS 197 section 5.2: SubWord of the word, with AESKEYGENASSIST.
KCPTUN_AESNI std::uint32_t sub_word(std::uint32_t word) {
  return static_cast<std::uint32_t>(
      _mm_cvtsi128_si32(_mm_aeskeygenassist_si128(_mm_set_epi32(0, 0, static_cast<int>(word), 0), 0)));
}

constexpr std::uint32_t rotate_word(std::uint32_t w) { return (w >> 8) | (w << 24); }

}  // namespace

AesKeys::AesKeys(Bytes key) : rounds_(static_cast<int>(key.size() / 4) + 6) {
  const std::size_t n = key.size() / 4;
  KCPTUN_CHECK(key.size() == 16 || key.size() == 24 || key.size() == 32);
  std::memcpy(bytes_, key.data(), key.size());
  std::uint32_t rcon = 1;
  for (std::size_t i = n; i < 4 * (static_cast<std::size_t>(rounds_) + 1); ++i) {
    std::uint32_t word = load_u32(bytes_ + 4 * (i - 1));
    if (i % n == 0) {
      word = sub_word(rotate_word(word)) ^ rcon;
      rcon = (rcon << 1) ^ (rcon & 0x80 ? 0x11b : 0);
    } else if (n == 8 && i % n == 4) {
      word = sub_word(word);
    }
    store_u32(bytes_ + 4 * i, load_u32(bytes_ + 4 * (i - n)) ^ word);
  }
}

AesKeys::~AesKeys() { sodium_memzero(bytes_, sizeof bytes_); }

std::unique_ptr<PacketCipher> make_aes_ni_cfb(Bytes key) {
  switch (key.size()) {
    case 16:
      return std::make_unique<AesNiCfb<10>>(key);
    case 24:
      return std::make_unique<AesNiCfb<12>>(key);
    default:
      return std::make_unique<AesNiCfb<14>>(key);
  }
}

}  // namespace kcptun

#endif  // __x86_64__
