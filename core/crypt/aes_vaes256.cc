// AES-CFB with 256-bit VAES, for CPUs without AVX-512 (Zen 3, Alder Lake): two blocks per register, sixteen
// in flight.
#if defined(__x86_64__)

#include <immintrin.h>
#include <sodium.h>

#include <cstring>

#include "core/crypt/aes_cfb.h"
#include "core/crypt/cfb_lanes.h"

#define KCPTUN_VAES256 [[gnu::target("avx2,vaes,aes")]]

namespace kcptun {
namespace {

// of two lanes each; the other half of the register file holds temporaries
constexpr std::size_t kRegisters = 8;
using Vaes256Lanes = CfbLanes<16, 2 * kRegisters>;

/// Round keys, each repeated twice in a 256-bit register.
struct alignas(32) PairedKeys {
  explicit PairedKeys(const AesKeys& keys) {
    for (int i = 0; i <= keys.rounds(); ++i)
      for (int copy = 0; copy < 2; ++copy) std::memcpy(bytes[i] + 16 * copy, keys.round_key(i), 16);
  }
  ~PairedKeys() { sodium_memzero(bytes, sizeof bytes); }
  PairedKeys(const PairedKeys&) = delete;
  PairedKeys& operator=(const PairedKeys&) = delete;
  std::uint8_t bytes[15][32];
};

KCPTUN_VAES256 inline __m256i load32(const std::uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
KCPTUN_VAES256 inline void store32(std::uint8_t* p, __m256i v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}
KCPTUN_VAES256 inline __m256i load_pair(const std::uint8_t* low, const std::uint8_t* high) {
  return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(high), reinterpret_cast<const __m128i*>(low));
}
KCPTUN_VAES256 inline void store_pair(std::uint8_t* low, std::uint8_t* high, __m256i v) {
  _mm256_storeu2_m128i(reinterpret_cast<__m128i*>(high), reinterpret_cast<__m128i*>(low), v);
}

template <int kRounds, std::size_t kCount>
KCPTUN_VAES256 [[gnu::always_inline]] inline void encrypt_blocks(const PairedKeys& keys,
                                                                 __m256i (&s)[kCount]) {
  __m256i k = load32(keys.bytes[0]);
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) s[g] = _mm256_xor_si256(s[g], k);
#pragma GCC unroll 14
  for (int r = 1; r < kRounds; ++r) {
    k = load32(keys.bytes[r]);
#pragma GCC unroll 8
    for (std::size_t g = 0; g < kCount; ++g) s[g] = _mm256_aesenc_epi128(s[g], k);
  }
  k = load32(keys.bytes[kRounds]);
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) s[g] = _mm256_aesenclast_epi128(s[g], k);
}

/// Processes kCount registers of lanes; the others are untouched.
template <int kRounds, std::size_t kCount>
KCPTUN_VAES256 void encrypt_steps(const PairedKeys& keys, Vaes256Lanes::View& view, std::size_t steps) {
  __m256i s[kCount];
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) s[g] = load32(view.feedback + 32 * g);
  for (std::size_t at = 0; at < 16 * steps; at += 16) {
    encrypt_blocks<kRounds>(keys, s);
#pragma GCC unroll 8
    for (std::size_t g = 0; g < kCount; ++g) {
      std::uint8_t* const low = view.data[2 * g] + at;
      std::uint8_t* const high = view.data[2 * g + 1] + at;
      s[g] = _mm256_xor_si256(s[g], load_pair(low, high));
      store_pair(low, high, s[g]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) store32(view.feedback + 32 * g, s[g]);
  for (std::size_t l = 0; l < 2 * kCount; ++l) view.data[l] += 16 * steps;
}

template <int kRounds>
void encrypt_lanes(const PairedKeys& keys, Vaes256Lanes::View& view, std::size_t steps) {
  if (view.lanes <= 4) return encrypt_steps<kRounds, 2>(keys, view, steps);
  if (view.lanes <= 8) return encrypt_steps<kRounds, 4>(keys, view, steps);
  return encrypt_steps<kRounds, kRegisters>(keys, view, steps);
}

/// Decrypts sixteen blocks at `p` in place. `previous` is the ciphertext block before them; it becomes their
/// last one.
template <int kRounds>
KCPTUN_VAES256 [[gnu::always_inline]] inline void decrypt_group(const PairedKeys& keys, std::uint8_t* p,
                                                                __m128i& previous) {
  __m256i s[kRegisters];
  const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  s[0] = _mm256_inserti128_si256(_mm256_castsi128_si256(previous), first, 1);
#pragma GCC unroll 8
  for (std::size_t g = 1; g < kRegisters; ++g) s[g] = load32(p + 32 * g - 16);
  previous = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 32 * kRegisters - 16));
  encrypt_blocks<kRounds>(keys, s);
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kRegisters; ++g)
    store32(p + 32 * g, _mm256_xor_si256(s[g], load32(p + 32 * g)));
}

template <int kRounds>
KCPTUN_VAES256 void decrypt_packet(const PairedKeys& keys, MutableBytes bytes) {
  constexpr std::size_t kGroup = 32 * kRegisters;
  __m128i previous = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kCfbIv));
  std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kGroup; p += kGroup, left -= kGroup) decrypt_group<kRounds>(keys, p, previous);
  if (left == 0) return;
  alignas(32) std::uint8_t group[kGroup] = {};
  std::memcpy(group, p, left);
  decrypt_group<kRounds>(keys, group, previous);
  std::memcpy(p, group, left);
}

template <int kRounds>
class Vaes256Cfb final : public PacketCipher {
 public:
  explicit Vaes256Cfb(Bytes key) : keys_(AesKeys(key)) {}
  void encrypt(std::span<const Packet> packets) override {
    Vaes256Lanes(packets, kCfbIv).run([this](Vaes256Lanes::View& view, std::size_t steps) {
      encrypt_lanes<kRounds>(keys_, view, steps);
    });
  }
  void decrypt(std::span<const Packet> packets) override {
    for (const Packet& packet : packets) decrypt_packet<kRounds>(keys_, packet.bytes());
  }

 private:
  PairedKeys keys_;
};

}  // namespace

std::unique_ptr<PacketCipher> make_aes_vaes256_cfb(Bytes key) {
  switch (key.size()) {
    case 16:
      return std::make_unique<Vaes256Cfb<10>>(key);
    case 24:
      return std::make_unique<Vaes256Cfb<12>>(key);
    default:
      return std::make_unique<Vaes256Cfb<14>>(key);
  }
}

}  // namespace kcptun

#endif  // __x86_64__
