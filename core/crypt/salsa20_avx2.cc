// Salsa20/20 with AVX2: eight blocks at once.
#if defined(__x86_64__)

#include <immintrin.h>
#include <sodium.h>

#include <bit>
#include <cstring>

#include "core/crypt/keystream_lanes.h"
#include "core/crypt/salsa20.h"
#include "core/crypt/salsa20_rounds.h"

#define KCPTUN_SALSA20_AVX2 [[gnu::target("avx2")]]

namespace kcptun {
namespace {

using Avx2Lanes = KeystreamLanes<8>;
using Avx2Words = std::uint32_t __attribute__((vector_size(32)));

/// In bytes. More than the stack of apply_lanes.
constexpr std::size_t kStack = 2048;

/// Transposes: x[l] is then one half of the block of lane l.
KCPTUN_SALSA20_AVX2 [[gnu::always_inline]] inline void transpose(__m256i* x) {
  __m256i t[8];
#pragma GCC unroll 2
  for (std::size_t i = 0; i < 8; i += 4) {
    const __m256i a = _mm256_unpacklo_epi32(x[i], x[i + 1]);
    const __m256i b = _mm256_unpackhi_epi32(x[i], x[i + 1]);
    const __m256i c = _mm256_unpacklo_epi32(x[i + 2], x[i + 3]);
    const __m256i d = _mm256_unpackhi_epi32(x[i + 2], x[i + 3]);
    t[i] = _mm256_unpacklo_epi64(a, c);
    t[i + 1] = _mm256_unpackhi_epi64(a, c);
    t[i + 2] = _mm256_unpacklo_epi64(b, d);
    t[i + 3] = _mm256_unpackhi_epi64(b, d);
  }
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i) {
    x[i] = _mm256_permute2x128_si256(t[i], t[i + 4], 0x20);
    x[i + 4] = _mm256_permute2x128_si256(t[i], t[i + 4], 0x31);
  }
}

KCPTUN_SALSA20_AVX2 [[gnu::always_inline]] inline void xor_block(std::uint8_t* p, __m256i low, __m256i high) {
  auto* half = reinterpret_cast<__m256i*>(p);
  _mm256_storeu_si256(half, _mm256_xor_si256(_mm256_loadu_si256(half), low));
  _mm256_storeu_si256(half + 1, _mm256_xor_si256(_mm256_loadu_si256(half + 1), high));
}

/// The last block of a packet is copied through a local buffer.
KCPTUN_SALSA20_AVX2 [[gnu::noinline]] void xor_tail(std::uint8_t* p, std::uint64_t mask, __m256i low,
                                                    __m256i high) {
  const auto size = static_cast<std::size_t>(std::popcount(mask));
  alignas(32) std::uint8_t block[Avx2Lanes::kBlock];
  std::memcpy(block, p, size);
  xor_block(block, low, high);
  std::memcpy(p, block, size);
  sodium_memzero(block, sizeof block);
}

KCPTUN_SALSA20_AVX2 [[gnu::always_inline]] inline Avx2Words load(const std::uint32_t* from) {
  Avx2Words words;
  std::memcpy(&words, from, sizeof words);
  return words;
}

/// Not inlined, so that its stack, with spilled registers, can be wiped afterwards.
KCPTUN_SALSA20_AVX2 [[gnu::noinline]] void apply_lanes(const Salsa20Key& key, Avx2Lanes& lanes) {
  const Avx2Lanes::View& view = lanes.view();
  Avx2Words words[16];
#pragma GCC unroll 16
  for (std::size_t w = 0; w < 16; ++w) words[w] = Avx2Words{} + key.input()[w];
  words[6] = load(view.nonce_low);
  words[7] = load(view.nonce_high);
  words[8] = load(view.counter);
  lanes.assign_next();
  for (int i = 0; i < 10; ++i) salsa20_double_round<1>(words);
#pragma GCC unroll 16
  for (std::size_t w = 0; w < 16; ++w) words[w] += key.input()[w];
  words[6] += load(view.nonce_low);
  words[7] += load(view.nonce_high);
  words[8] += load(view.counter);
  __m256i x[16];
#pragma GCC unroll 16
  for (std::size_t w = 0; w < 16; ++w) x[w] = reinterpret_cast<__m256i>(words[w]);
  transpose(x);
  transpose(x + 8);
#pragma GCC unroll 8
  for (std::size_t l = 0; l < 8; ++l) {
    if (view.mask[l] == ~std::uint64_t{0}) {
      xor_block(view.data(l), x[l], x[8 + l]);
    } else if (view.mask[l] != 0) {
      xor_tail(view.data(l), view.mask[l], x[l], x[8 + l]);
    }
  }
}

class Avx2Salsa20 final : public PacketCipher {
 public:
  explicit Avx2Salsa20(Bytes key) : key_(key) {}
  void encrypt(std::span<const Packet> packets) override { apply(packets); }
  void decrypt(std::span<const Packet> packets) override { apply(packets); }

 private:
  KCPTUN_SALSA20_AVX2 void apply(std::span<const Packet> packets) {
    if (salsa20_is_one_block(packets)) return key_.apply_portable(packets[0]);
    Avx2Lanes lanes(packets);
    for (; lanes.view().lanes > 0; lanes.advance()) apply_lanes(key_, lanes);
    sodium_stackzero(kStack);
  }

  Salsa20Key key_;
};

}  // namespace

std::unique_ptr<PacketCipher> make_salsa20_avx2(Bytes key) { return std::make_unique<Avx2Salsa20>(key); }

}  // namespace kcptun

#endif  // __x86_64__
