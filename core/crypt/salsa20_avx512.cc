// Salsa20/20 with AVX-512: sixteen blocks at once, or eight if no more are left.
#if defined(__x86_64__)

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own headers initialise "undefined" registers from themselves (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <cstring>

#include "core/crypt/keystream_lanes.h"
#include "core/crypt/salsa20.h"
#include "core/crypt/salsa20_rounds.h"

#define KCPTUN_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq")]]

namespace kcptun {
namespace {

using Lanes = KeystreamLanes<16>;
using Wide = std::uint32_t __attribute__((vector_size(64)));
using Narrow = std::uint32_t __attribute__((vector_size(32)));

/// Hides the object's identity from the compiler. Otherwise it would keep the broadcast words of the key and
/// spill them to the stack, where they would not be wiped.
template <typename T>
[[gnu::always_inline]] inline const T& read_again(const T& object) {
  const T* p = &object;
  asm("" : "+r"(p));
  return *p;
}

template <typename Words>
KCPTUN_AVX512 [[gnu::always_inline]] inline void load(Words& words, const std::uint32_t* from) {
  std::memcpy(&words, from, sizeof words);
}

template <typename Words>
KCPTUN_AVX512 [[gnu::always_inline]] inline void load_words(const Salsa20Key& key, const Lanes::View& view,
                                                            Words (&x)[16]) {
#pragma GCC unroll 16
  for (std::size_t w = 0; w < 16; ++w) x[w] = Words{} + key.input()[w];
  load(x[6], view.nonce_low);
  load(x[7], view.nonce_high);
  load(x[8], view.counter);
}

template <typename Words>
KCPTUN_AVX512 [[gnu::always_inline]] inline void add_words(const Salsa20Key& key, const Lanes::View& view,
                                                           Words (&x)[16]) {
  Words in[16];
  load_words(read_again(key), read_again(view), in);
#pragma GCC unroll 16
  for (std::size_t w = 0; w < 16; ++w) x[w] += in[w];
}

/// Transposes: x[l] is then the block of lane l.
KCPTUN_AVX512 [[gnu::always_inline]] inline void transpose(__m512i (&x)[16]) {
  __m512i t[16];
  // First within each 128-bit quarter: 4x4 words.
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 16; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    const __m512i b = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    const __m512i c = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]);
    const __m512i d = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
    t[i] = _mm512_unpacklo_epi64(a, c);
    t[i + 1] = _mm512_unpackhi_epi64(a, c);
    t[i + 2] = _mm512_unpacklo_epi64(b, d);
    t[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  // Then 4x4 quarters: t[i + 4 * j] holds words 4j to 4j + 3 of the lanes i, i + 4, i + 8 and i + 12.
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i) {
    const __m512i a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x44);
    const __m512i b = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xee);
    const __m512i c = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x44);
    const __m512i d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xee);
    x[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    x[i + 4] = _mm512_shuffle_i32x4(a, c, 0xdd);
    x[i + 8] = _mm512_shuffle_i32x4(b, d, 0x88);
    x[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
}

KCPTUN_AVX512 [[gnu::always_inline]] inline void xor_block(const Lanes::View& view, std::size_t l,
                                                           __m512i keystream) {
  std::uint8_t* p = view.data(l);
  const __mmask64 mask = view.mask[l];
  _mm512_mask_storeu_epi8(p, mask, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, p), keystream));
}

/// Up to sixteen lanes. (Inlined together with apply_narrow, the compiler would share their first steps and
/// run out of registers.)
KCPTUN_AVX512 [[gnu::noinline]] void apply_wide(const Salsa20Key& key, Lanes& lanes) {
  const Lanes::View& view = lanes.view();
  Wide words[16];
  load_words(key, view, words);
  for (int i = 0; i < 8; ++i) salsa20_double_round<4>(words);
  lanes.assign_next();
  for (int i = 0; i < 2; ++i) salsa20_double_round<4>(words);
  add_words(key, view, words);
  __m512i x[16];
#pragma GCC unroll 16
  for (std::size_t w = 0; w < 16; ++w) x[w] = reinterpret_cast<__m512i>(words[w]);
  transpose(x);
#pragma GCC unroll 16
  for (std::size_t l = 0; l < 16; ++l) xor_block(view, l, x[l]);
}

/// Up to eight lanes, the last ones, in about half the time.
KCPTUN_AVX512 [[gnu::noinline]] void apply_narrow(const Salsa20Key& key, const Lanes::View& view) {
  Narrow words[16];
  load_words(key, view, words);
  for (int i = 0; i < 10; ++i) salsa20_double_round<4>(words);
  add_words(key, view, words);
  __m512i x[16];
#pragma GCC unroll 16
  for (std::size_t w = 0; w < 16; ++w) x[w] = _mm512_castsi256_si512(reinterpret_cast<__m256i>(words[w]));
  transpose(x);
#pragma GCC unroll 8
  for (std::size_t l = 0; l < 8; ++l) xor_block(view, l, x[l]);
}

class Avx512Salsa20 final : public PacketCipher {
 public:
  explicit Avx512Salsa20(Bytes key) : key_(key) {}
  void encrypt(std::span<const Packet> packets) override { apply(packets); }
  void decrypt(std::span<const Packet> packets) override { apply(packets); }

 private:
  KCPTUN_AVX512 void apply(std::span<const Packet> packets) {
    if (salsa20_is_one_block(packets)) return key_.apply_portable(packets[0]);
    Lanes lanes(packets);
    for (; lanes.view().lanes > 8; lanes.advance()) apply_wide(key_, lanes);
    if (lanes.view().lanes > 0) apply_narrow(key_, lanes.view());
  }

  Salsa20Key key_;
};

}  // namespace

std::unique_ptr<PacketCipher> make_salsa20_avx512(Bytes key) { return std::make_unique<Avx512Salsa20>(key); }

}  // namespace kcptun

#endif  // __x86_64__
