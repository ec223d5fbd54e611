// Bernstein, "The Salsa20 family of stream ciphers" (2007): the hash function on vectors. Only the kernels'
// sources include this header; everything is inlined.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kcptun {

/// `Words` is a vector of 32-bit words, one word from each of many blocks.
template <int kBits, typename Words>
[[gnu::always_inline]] inline void salsa20_step(Words& to, const Words& a, const Words& b) {
  const Words sum = a + b;
  to ^= sum << kBits | sum >> (32 - kBits);
}

/// The quarter-rounds of four columns or rows, kAbreast of them interleaved. Within one quarter-round each
/// step depends on the previous one; a single quarter-round at a time takes the fewest registers.
template <std::size_t kAbreast, typename Words>
[[gnu::always_inline]] inline void salsa20_round(Words* const (&q)[4][4]) {
#pragma GCC unroll 4
  for (std::size_t first = 0; first < 4; first += kAbreast) {
    const std::size_t end = first + kAbreast;
#pragma GCC unroll 4
    for (std::size_t i = first; i < end; ++i) salsa20_step<7>(*q[i][1], *q[i][0], *q[i][3]);
#pragma GCC unroll 4
    for (std::size_t i = first; i < end; ++i) salsa20_step<9>(*q[i][2], *q[i][1], *q[i][0]);
#pragma GCC unroll 4
    for (std::size_t i = first; i < end; ++i) salsa20_step<13>(*q[i][3], *q[i][2], *q[i][1]);
#pragma GCC unroll 4
    for (std::size_t i = first; i < end; ++i) salsa20_step<18>(*q[i][0], *q[i][3], *q[i][2]);
  }
}

/// Ten of these make Salsa20/20.
template <std::size_t kAbreast, typename Words>
[[gnu::always_inline]] inline void salsa20_double_round(Words (&x)[16]) {
  salsa20_round<kAbreast, Words>({{&x[0], &x[4], &x[8], &x[12]},
                                  {&x[5], &x[9], &x[13], &x[1]},
                                  {&x[10], &x[14], &x[2], &x[6]},
                                  {&x[15], &x[3], &x[7], &x[11]}});
  salsa20_round<kAbreast, Words>({{&x[0], &x[1], &x[2], &x[3]},
                                  {&x[5], &x[6], &x[7], &x[4]},
                                  {&x[10], &x[11], &x[8], &x[9]},
                                  {&x[15], &x[12], &x[13], &x[14]}});
}

}  // namespace kcptun
