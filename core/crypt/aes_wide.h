// Building blocks of the 512-bit AES kernels. Only the kernels' sources include this header; everything is
// inlined.
#pragma once

#if defined(__x86_64__)

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own headers initialise "undefined" registers from themselves (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>
#include <sodium.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/crypt/aes_cfb.h"

#define KCPTUN_VAES [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,vaes,aes,pclmul,vpclmulqdq")]]

namespace kcptun {

/// Round keys, each repeated four times in a 512-bit register, so that one load serves all four blocks.
struct alignas(64) WideKeys {
  explicit WideKeys(const AesKeys& keys) {
    for (int i = 0; i <= keys.rounds(); ++i)
      for (int copy = 0; copy < 4; ++copy) std::memcpy(bytes[i] + 16 * copy, keys.round_key(i), 16);
  }
  ~WideKeys() { sodium_memzero(bytes, sizeof bytes); }
  WideKeys(const WideKeys&) = delete;
  WideKeys& operator=(const WideKeys&) = delete;
  std::uint8_t bytes[15][64];
};

KCPTUN_VAES [[gnu::always_inline]] inline __m128i load16(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
KCPTUN_VAES [[gnu::always_inline]] inline void store16(std::uint8_t* p, __m128i v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
}

template <int kRounds, std::size_t kCount>
KCPTUN_VAES [[gnu::always_inline]] inline void encrypt_blocks(const WideKeys& keys, __m512i (&s)[kCount]) {
  __m512i k = _mm512_load_si512(keys.bytes[0]);
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) s[g] = _mm512_xor_si512(s[g], k);
#pragma GCC unroll 14
  for (int r = 1; r < kRounds; ++r) {
    k = _mm512_load_si512(keys.bytes[r]);
#pragma GCC unroll 8
    for (std::size_t g = 0; g < kCount; ++g) s[g] = _mm512_aesenc_epi128(s[g], k);
  }
  k = _mm512_load_si512(keys.bytes[kRounds]);
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) s[g] = _mm512_aesenclast_epi128(s[g], k);
}

/// Mask of the first `size` bytes of 64; empty or full outside that range.
KCPTUN_VAES [[gnu::always_inline]] inline __mmask64 leading_bytes(std::size_t size) {
  return size >= 64 ? ~__mmask64{0} : (__mmask64{1} << size) - 1;
}

/// Masks of the bytes, among the next 256 in four registers, that belong to the last `size` bytes of a
/// packet.
struct GroupMask {
  __mmask64 part[4];
};
inline constexpr GroupMask kWholeGroup{{~0ull, ~0ull, ~0ull, ~0ull}};
KCPTUN_VAES [[gnu::always_inline]] inline GroupMask first_of_group(std::size_t size) {
  return {{leading_bytes(size), leading_bytes(size > 64 ? size - 64 : 0),
           leading_bytes(size > 128 ? size - 128 : 0), leading_bytes(size > 192 ? size - 192 : 0)}};
}

}  // namespace kcptun

#endif  // __x86_64__
